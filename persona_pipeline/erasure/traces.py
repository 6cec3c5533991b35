"""Hold what stands for the people who are being erased, and keep it beside the warehouse until the erasure has ended."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from persona_pipeline.erasure.mentions import Mentions


@dataclass(frozen=True)
class Review:
    """What an erased review counted for: stars, and when."""

    item_id: str
    rating: float
    reviewed_at: datetime


@dataclass(frozen=True)
class Traces:
    """What stands for people in tables and texts.

    Attributes:
        day: retired personas are retired as of it.
        users, reviews: their ids; of a review what it counted for, where that is known.
        people: how many they are; a person may go by an id and a pseudonym.
        mentions: ids and words to look for in texts.
        retired: personas that nobody else supports.
        rewritten: by persona that others support too, but whose words were theirs: its name as it stays.
        requests: keys of `llm_calls` that show their words.
        hashes: keys of `text_embeddings` of what they wrote, and of what only they support.
        untitled: by item whose summary goes: titles that were taken from it.
    """

    day: date
    users: frozenset[str]
    reviews: Mapping[str, Review | None]
    mentions: Mentions
    retired: frozenset[str] = frozenset()
    rewritten: Mapping[str, str] = field(default_factory=dict)
    requests: frozenset[str] = frozenset()
    hashes: frozenset[str] = frozenset()
    untitled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    people: int = 0

    @cached_property
    def by_item(self) -> Mapping[str, list[Review]]:
        """What is known of the reviews, by item."""
        found: dict[str, list[Review]] = {}
        for review in filter(None, self.reviews.values()):
            found.setdefault(review.item_id, []).append(review)
        return found

    def write(self, path: Path) -> None:
        """Write JSON that only this account may read: it names the people."""
        told: dict[str, Any] = {
            "day": self.day.isoformat(),
            "users": sorted(self.users),
            "reviews": {
                key: review and [review.item_id, review.rating, review.reviewed_at.isoformat()]
                for key, review in self.reviews.items()
            },
            "ids": sorted(self.mentions.ids),
            "runs": sorted(self.mentions.runs),
            "sentences": sorted(self.mentions.sentences),
            "retired": sorted(self.retired),
            "rewritten": dict(self.rewritten),
            "requests": sorted(self.requests),
            "hashes": sorted(self.hashes),
            "untitled": {item: list(titles) for item, titles in self.untitled.items()},
            "people": self.people,
        }
        path.touch(0o600)
        path.write_text(json.dumps(told), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Traces":
        """Read what `write` wrote."""
        told = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            date.fromisoformat(told["day"]),
            frozenset(told["users"]),
            {
                key: review and Review(review[0], review[1], datetime.fromisoformat(review[2]).astimezone(UTC))
                for key, review in told["reviews"].items()
            },
            Mentions(frozenset(told["ids"]), frozenset(told["runs"]), frozenset(told["sentences"])),
            frozenset(told["retired"]),
            told["rewritten"],
            frozenset(told["requests"]),
            frozenset(told["hashes"]),
            {item: tuple(titles) for item, titles in told["untitled"].items()},
            told.get("people", len(told["users"])),
        )
