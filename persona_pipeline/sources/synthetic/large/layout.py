"""Lay out a large synthetic input: which kind of line stands where, and how often every kind occurs, by arithmetic alone.

Lines come in blocks of a thousand with the same kinds in the same places; what is left over are plain reviews. A fifth of
the places belong to one item, a hundredth to one user. Every other review is of a pair of user and item that no other line
has, unless it is planted to: so the number of reviews that an ingest accepts is known without generating one.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import Any

from persona_pipeline.sources.synthetic.large.config import BLOCK, LargeConfig

HOT_EVERY = 5
PLACES = BLOCK - BLOCK // HOT_EVERY
"""Places of a block that the hot item leaves."""
STRIDE = 7
"""Places next to one another in a block are kinds this far apart; coprime to `PLACES`."""

Span = tuple[int, int]
KINDS: dict[str, Span] = {
    "heavy": (0, 10),  # by the user who reviews everything
    "copy": (10, 15),  # a line again, character by character
    "edit_of_id": (15, 18),  # the id of an earlier state of the review
    "edit_of_pair": (18, 21),  # an id of its own for a later review of the same user and item
    "spam": (21, 25),  # one text by many users, a word changed
    "not_json": (25, 28),  # broken off
    "missing_user_id": (28, 29),
    "bad_rating": (29, 30),
    "bad_timestamp": (30, 31),
    "future": (31, 33),  # dated after the night
    "plain": (33, 799),
    "duplicate_id": (799, 800),  # the id of another user's review
}
"""First and last place (exclusive) of every kind in a block, after `STRIDE` has spread them."""
ORIGINS = {"copy": 110, "edit_of_id": 115, "edit_of_pair": 118, "duplicate_id": 35}
"""The plain places, first of each, whose reviews these kinds repeat."""
EMAIL, PHONE, INVISIBLE, DECOMPOSED, LONG = 40, 41, 42, 43, 44
"""Plain places with a text of their own: contact details, invisible characters, decomposed accents, 12,000 characters."""
LATER_EDITED, LATER_COPIED = 200, 300
"""Plain places whose reviews the increment repeats."""
OWN_PAIR = ("spam", "future", "plain")
"""Kinds with a user and an item of their own, numbered through by `row`."""
LATER_GROUP = 20
"""Lines of the increment come in groups: an edit, a copy, and new reviews."""
EVENT_GROUP = 20
"""Events come in groups: views, purchases, the return of the last purchase, and one of somebody who never writes."""
SPAM_TEXTS = 50
"""Spam lines that share a text."""


@dataclass(frozen=True, slots=True)
class Tier:
    """Users who write equally many reviews: `users` of them from number `first_user` on, their rows from `first_row` on."""

    reviews: int
    users: int
    first_user: int
    first_row: int


@dataclass(frozen=True)
class Layout:
    """The arithmetic of one configuration. Items are numbered: those that may be reviewed, the hot one, the dead."""

    config: LargeConfig

    @property
    def blocks(self) -> int:
        """Whole blocks."""
        return self.config.n_reviews // BLOCK

    @property
    def rows_a_block(self) -> int:
        """Reviews of a block with a pair of their own."""
        return sum(last - first for first, last in (KINDS[kind] for kind in OWN_PAIR))

    @property
    def rows(self) -> int:
        """Reviews of ordinary users with a pair of their own."""
        return self.blocks * self.rows_a_block + self.config.n_reviews % BLOCK

    @property
    def hot_lines(self) -> int:
        """Lines of the item with a fifth of all; users who have reviewed it do so again where there are too few."""
        return self.blocks * (BLOCK // HOT_EVERY)

    @property
    def ordinary_users(self) -> int:
        """All but the heavy one, who is numbered last."""
        return self.config.n_users - 1

    @property
    def dead_items(self) -> int:
        """Items nobody ever reviews, numbered last."""
        return self.config.n_items // 50

    @property
    def live_items(self) -> int:
        """Items that ordinary reviews may be of; the hot item's number is next."""
        return self.config.n_items - self.dead_items - 1

    @property
    def later_lines(self) -> int:
        """Lines of the increment: a hundredth, in whole groups."""
        return max(1, self.config.n_reviews // 100 // LATER_GROUP) * LATER_GROUP

    @property
    def events(self) -> int:
        """Lines of events: a fifth of the reviews, in whole groups."""
        return self.config.n_reviews // 5 // EVENT_GROUP * EVENT_GROUP

    @property
    def spam_campaigns(self) -> int:
        """Texts that are posted by many."""
        return max(1, self.blocks * _length("spam") // SPAM_TEXTS)

    @cached_property
    def tiers(self) -> list[Tier]:
        """Ordinary users by activity, a power law that gives exactly `rows` reviews to exactly `ordinary_users`."""
        counts = _activity(self.ordinary_users, self.rows, self.live_items // 8)
        found, user, row = [], 0, 0
        for reviews, users in sorted(counts.items()):
            found.append(Tier(reviews, users, user, row))
            user, row = user + users, row + users * reviews
        return found

    def spread(self, size: int, salt: int) -> tuple[int, int]:
        """Factor and shift of a permutation of `size` numbers: n to (n * factor + shift) % size."""
        factor = int(size * 0.6180339887) + 1 + (self.config.seed + salt) % 97
        while gcd(factor, size) != 1:
            factor += 1
        return factor, (self.config.seed * 7_919 + salt * 104_729) % size

    def truth(self) -> dict[str, Any]:
        """Counts that an ingest must find, first in the reviews, then in them and the increment."""
        faults = {kind: self.blocks * _length(kind) for kind in ("not_json", "missing_user_id", "bad_rating")}
        faults |= {kind: self.blocks * _length(kind) for kind in ("bad_timestamp", "duplicate_id")}
        hot_again = max(0, self.hot_lines - self.ordinary_users)
        edited = self.blocks * (_length("edit_of_id") + _length("edit_of_pair")) + hot_again
        refused = {**faults, "copy": self.blocks * _length("copy"), "edited": edited}
        not_yet = self.blocks * _length("future")
        lines = self.config.n_reviews
        groups = self.later_lines // LATER_GROUP
        later = {**refused, "copy": refused["copy"] + groups, "edited": edited + groups}
        all_lines = lines + self.later_lines
        return {
            "reviews": _counts(lines, not_yet, refused),
            "with_increment": _counts(all_lines, not_yet, later),
            "increment_lines": self.later_lines,
            "hot_item": {"lines": self.hot_lines, "accepted": self.hot_lines - hot_again},
            "heavy_user_reviews": self.blocks * _length("heavy"),
            "spam": {"lines": self.blocks * _length("spam"), "texts": self.spam_campaigns},
            "texts_with": dict.fromkeys(("email", "phone", "invisible", "decomposed", "long"), self.blocks),
            "items": {"never_reviewed": self.dead_items, "delisted": self.delisted_items},
            "item_lines": self.config.n_items - self.delisted_items,
            "events": {
                "lines": self.events,
                **{kind: n * self.events // EVENT_GROUP for kind, n in Counter(map(event_kind, range(20))).items()},
                "users_without_reviews": self.silent_users,
            },
        }

    @property
    def delisted_items(self) -> int:
        """Reviewed items that are absent from the catalogue: every hundredth."""
        return self.live_items // 100

    @property
    def silent_users(self) -> int:
        """Users with events alone, about four each."""
        return max(1, self.events // EVENT_GROUP // 4)


def event_kind(place: int) -> str:
    """Kind of the event in this place of its group."""
    return "view" if place < 13 else "return" if place == 18 else "purchase"


def _counts(lines: int, not_yet: int, refused: dict[str, int]) -> dict[str, Any]:
    return {"lines": lines, "not_yet": not_yet, "accepted": lines - not_yet - sum(refused.values()), "refused": refused}


def _length(kind: str) -> int:
    first, last = KINDS[kind]
    return last - first


def _activity(users: int, rows: int, most: int) -> Counter[int]:
    """How many users write how many reviews: users of n in proportion to n to a power that gives the wanted sum."""
    sizes = [n for n in (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 160, 250, 400) if n <= most]

    def shares(power: float) -> list[float]:
        weights = [n**-power for n in sizes]
        return [weight / sum(weights) for weight in weights]

    low, high = -5.0, 20.0
    for _ in range(80):
        power = (low + high) / 2
        mean = sum(n * share for n, share in zip(sizes, shares(power), strict=True))
        low, high = (power, high) if mean > rows / users else (low, power)
    counts = Counter({n: int(users * share) for n, share in zip(sizes[1:], shares(high)[1:], strict=True)})
    counts[1] = users - counts.total()
    # Rounding down left some reviews out: one more for as many users.
    left = rows - sum(n * count for n, count in counts.items())
    while left > 0:
        n, _ = counts.most_common(1)[0]
        more = min(left, counts[n])
        counts[n] -= more
        counts[n + 1] += more
        left -= more
    return +counts
