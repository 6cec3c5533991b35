"""Maintain each user's reservoir of top-k candidates over chunks of first-pass scores, and rescore them: loops compiled by numba.

A tile of users keeps a reservoir of items that may be among each user's top k. For every chunk of first-pass scores,
`combine` reduces persona scores to item scores and `collect` adds items whose score reaches the user's threshold
(`Reservoir.bars`). `settle` rescores in float64 the k most promising candidates and raises the threshold to the k-th of
these scores less the error bound of the first pass: no item below it can be in the top k. `expect` raises the threshold
earlier, to an estimate of that score from the items seen so far. Candidates are rescored item by item, over all users
of the tile, so that a persona's row is fetched once.

All loops are in one file, since numba's on-disk cache is keyed by the file that defines the function, not by its
callees.

Cost beside the product: one comparison per user and item, and O(d) for each of a small multiple of k items per user.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numba
import numpy as np

DIGITS = 9  # decimals of scores: coarser than float64 summation error, so that equal scores tie in any block
LEVEL = 1e-12  # personas of one item no further apart than this are level, and the first of them wins
TIED = 2 * 10.0**-DIGITS  # two scores this close may be rounded to the same number
_BITS = 32  # of `Reservoir.near`; the last stands for every further slot

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function, **options: object) -> Function:
    """Compile a loop by numba, without Python's lock."""
    # Kept on disk for the next process: compiling takes seconds.
    try:
        made: Function = numba.njit(nogil=True, error_model="numpy", cache=True, **options)(function)
    except RuntimeError as error:  # neither beside this file nor in the user's cache folder can anything be written
        logging.getLogger(__name__).warning(
            "%s; every process compiles it anew. NUMBA_CACHE_DIR may name a folder", error
        )
        made = numba.njit(nogil=True, error_model="numpy", **options)(function)
    return made


class ItemBlock(NamedTuple):
    """Arrays of an item index, for compiled loops.

    Attributes:
        vectors: (personas, d) float32, grouped by item.
        ends: (items + 1,) int64, row of each item's first persona; the last entry is the number of personas.
        popularity: (items,) float64.
        temperature: of the soft maximum; 0 for the maximum.
    """

    vectors: np.ndarray
    ends: np.ndarray
    popularity: np.ndarray
    temperature: float


class UserTile(NamedTuple):
    """Arrays of the users of a tile.

    Attributes:
        vectors, single: (users, d) the user vectors in float64 and in float32.
        scales: (users,) float64, factor of an item's popularity share.
        errors: (users,) float32, error bound of a first-pass score, rounded up.
        floats: (users,) float32, error bound of a float32 score, rounded up.
        prior_ends, prior_items, prior: score shares of the prior, sparse by user, items ascending: (users + 1,), (n,), (n,).
    """

    vectors: np.ndarray
    single: np.ndarray
    scales: np.ndarray
    errors: np.ndarray
    floats: np.ndarray
    prior_ends: np.ndarray
    prior_items: np.ndarray
    prior: np.ndarray


class Columns(NamedTuple):
    """Per-user restrictions and prior of a tile, sparse by item of a block: (items + 1,) offsets, then one value per entry.

    Attributes:
        prior_ends, prior_users, prior: score shares of the prior, float32.
        left_out_ends, left_out_users: users who must not be recommended the item.
        allowed: (items, users) bool, users who may be recommended the item; (0, 0) for all users.
        group_ends, groups: groups of each item, sparse by item of the block.
        closed_ends, closed_users: users who must not be recommended an item of the group, sparse by group.
    """

    prior_ends: np.ndarray
    prior_users: np.ndarray
    prior: np.ndarray
    left_out_ends: np.ndarray
    left_out_users: np.ndarray
    allowed: np.ndarray
    group_ends: np.ndarray
    groups: np.ndarray
    closed_ends: np.ndarray
    closed_users: np.ndarray


_OPEN = np.dtype([("item", np.int32), ("guess", np.float32), ("near", np.uint32)])
_FOUND = np.dtype(
    [("item", np.int32), ("slot", np.int32), ("score", np.float64), ("best", np.float64), ("others", np.float64)]
)


class Reservoir(NamedTuple):
    """Top-k candidates of each user of a tile, one row per user, items by their index in the item index.

    Attributes:
        open: (users, capacity) records of candidates not rescored: first-pass score (`guess`), and a bit mask of the slots whose
            persona may be the item's best (`near`).
        opened: (users,) number of records of a row.
        found: (users, capacity + k) records of rescored candidates, in any order, with room for k more; see `TopItems`.
        counted: (users,) number of records of a row.
        bars: (users,) float32 threshold: least first-pass score that may still be in the top k.
    """

    open: np.ndarray
    opened: np.ndarray
    found: np.ndarray
    counted: np.ndarray
    bars: np.ndarray

    @classmethod
    def empty(cls, users: int, capacity: int, k: int) -> "Reservoir":
        """Allocate an empty reservoir for a tile of users."""
        return cls(
            np.empty((users, capacity), _OPEN),
            np.zeros(users, np.int64),
            np.empty((users, capacity + k), _FOUND),
            np.zeros(users, np.int64),
            # -inf marks excluded items, and stays below every threshold.
            np.full(users, np.finfo(np.float32).min, np.float32),
        )

    @staticmethod
    def bytes_of(capacity: int, k: int) -> int:
        """Bytes of one user's reservoir, including the working memory of `settle`."""
        return capacity * (_OPEN.itemsize + 8) + (capacity + k) * _FOUND.itemsize


def _combine_loop(personas: np.ndarray, ends: np.ndarray, summed: bool, out: np.ndarray) -> None:
    """Reduce (personas, users) scores by item, to the maximum or (`summed`) the mean of its rows, into (items, users)."""
    users = out.shape[1]
    for item in range(out.shape[0]):
        first, last = ends[item] - ends[0], ends[item + 1] - ends[0]
        for user in range(users):
            out[item, user] = personas[first, user]
        for row in range(first + 1, last):
            if summed:
                for user in range(users):
                    out[item, user] += personas[row, user]
            else:
                for user in range(users):
                    score = personas[row, user]
                    out[item, user] = score if score > out[item, user] else out[item, user]
        if summed:
            share = np.float32(1.0 / (last - first))
            for user in range(users):
                out[item, user] *= share


def _to_whole_loop(vectors: np.ndarray, step: float, levels: int, zero: int, rows: np.ndarray) -> tuple[float, float]:
    """Quantise vectors to multiples of `step`, at most `levels`, offset by `zero`, into (n, d) uint8.

    Returns the largest length of a quantisation residual and of a quantised vector.
    """
    inverse, single = np.float32(1 / step), np.float32(step)
    most, rest, length = np.float32(levels), np.float32(0), np.float32(0)
    for row in range(vectors.shape[0]):
        rests, lengths = np.float32(0), np.float32(0)
        for n in range(vectors.shape[1]):
            value = vectors[row, n]
            whole = np.rint(min(max(value * inverse, -most), most))
            rows[row, n] = np.uint8(np.int32(whole) + zero)
            multiple = whole * single
            rests += (value - multiple) * (value - multiple)
            lengths += multiple * multiple
        rest, length = max(rest, rests), max(length, lengths)
    return float(np.sqrt(rest)), float(np.sqrt(length))


to_whole = compiled(_to_whole_loop, fastmath=True)
# Scores hold no NaN; without NaN semantics a comparison compiles to a maximum of eight lanes at once.
combine = compiled(_combine_loop, fastmath={"nnan", "nsz"})


def _dot_loop(left: np.ndarray, row: int, right: np.ndarray, user: int) -> float:
    total = 0.0
    for n in range(right.shape[1]):
        total += np.float64(left[row, n]) * right[user, n]
    return total


def _dot32_loop(left: np.ndarray, row: int, right: np.ndarray, user: int) -> float:
    total = np.float32(0)
    for n in range(right.shape[1]):
        total += left[row, n] * right[user, n]
    return float(total)


_dot32 = compiled(_dot32_loop, fastmath=True)
_dot = compiled(_dot_loop, fastmath=True)  # summed in any order: DIGITS are out of its reach


def _collect_loop(
    scores: np.ndarray,
    personas: np.ndarray,
    first_item: int,
    block_start: int,
    item_index: ItemBlock,
    people: UserTile,
    columns: Columns,
    reservoir: Reservoir,
) -> None:
    """Complete scores (items, users) by popularity and prior, and add items that reach the user's threshold.

    The reservoir must have room for all items of the chunk. `personas` (personas of the chunk, users) decide which
    slots may be the item's best. Both arrays may have padding columns behind those of the users.
    """
    users = len(reservoir.opened)
    for n in range(scores.shape[0]):
        item = first_item + n
        column = item - block_start
        row = scores[n]
        liked = np.float32(item_index.popularity[item])
        if liked != 0:
            for user in range(users):
                row[user] += liked * np.float32(people.scales[user])
        for entry in range(columns.prior_ends[column], columns.prior_ends[column + 1]):
            row[columns.prior_users[entry]] += columns.prior[entry]
        for entry in range(columns.left_out_ends[column], columns.left_out_ends[column + 1]):
            row[columns.left_out_users[entry]] = -np.inf
        for place in range(columns.group_ends[column], columns.group_ends[column + 1]):
            group = columns.groups[place]
            for entry in range(columns.closed_ends[group], columns.closed_ends[group + 1]):
                row[columns.closed_users[entry]] = -np.inf
        if columns.allowed.shape[0]:
            for user in range(users):
                if not columns.allowed[column, user]:
                    row[user] = -np.inf
        for user in range(users):
            if row[user] >= reservoir.bars[user]:
                near = np.uint32(0xFFFFFFFF)
                if item_index.temperature == 0:
                    first, last = (
                        item_index.ends[item] - item_index.ends[first_item],
                        item_index.ends[item + 1] - item_index.ends[first_item],
                    )
                    best = personas[first, user]
                    for slot in range(first + 1, last):
                        best = max(best, personas[slot, user])
                    # Nor can a persona be the best of an item among the k that would not lift it to the bar itself.
                    error = people.errors[user]
                    least = reservoir.bars[user] - (row[user] - best) - np.float32(0.25) * error
                    least = max(least, best - np.float32(2.01) * error)
                    near = np.uint32(0)
                    for slot in range(first, last):
                        if personas[slot, user] >= least:
                            near |= np.uint32(1) << np.uint32(min(slot - first, _BITS - 1))
                entry = reservoir.open[user, reservoir.opened[user]]
                entry.item, entry.guess, entry.near = item, row[user], near
                reservoir.opened[user] += 1


collect = compiled(_collect_loop)


def _prior_loop(ends: np.ndarray, items: np.ndarray, prior: np.ndarray, user: int, item: int) -> float:
    low, high = ends[user], ends[user + 1]
    while low < high:
        middle = (low + high) // 2
        if items[middle] < item:
            low = middle + 1
        else:
            high = middle
    return float(prior[low]) if low < ends[user + 1] and items[low] == item else 0.0


_prior = compiled(_prior_loop)


def _kth_loop(values: np.ndarray, k: int) -> float:
    return float(np.partition(values, len(values) - k)[len(values) - k])


_kth = compiled(_kth_loop)


def _bar_loop(score: float, error: float, before: float) -> float:
    """Least first-pass score of an item that may reach `score`, rounded down; never below the threshold `before`."""
    bar = np.float32(np.float64(score) - np.float64(error) - TIED)
    return float(max(before, np.nextafter(bar, np.float32(-np.inf))))


_bar = compiled(_bar_loop)


def _expect_loop(people: UserTile, rank: int, expected: np.ndarray, reservoir: Reservoir) -> None:
    """Raise thresholds to an estimate of the k-th score: the `rank`-th best first-pass score so far, less a quarter of its error.

    The estimate is kept in `expected` (users,); the caller must check that the final k-th score reached it. The actual
    error is rarely more than a quarter of its bound.
    """
    guesses = np.empty(reservoir.open.shape[1], np.float32)
    for user in range(len(expected)):
        many = reservoir.opened[user]
        if many >= rank:
            for place in range(many):
                guesses[place] = reservoir.open[user, place].guess
            score = _kth(guesses[:many], rank) - people.errors[user] / 4
            expected[user] = np.maximum(expected[user], score)
            reservoir.bars[user] = _bar(expected[user], people.errors[user], reservoir.bars[user])
            _drop(reservoir.open[user], user, reservoir.opened, reservoir.bars[user])


def _drop_loop(entries: np.ndarray, user: int, opened: np.ndarray, bar: float) -> None:
    kept = 0
    for place in range(opened[user]):
        if entries[place].guess >= bar:
            entries[kept] = entries[place]
            kept += 1
    opened[user] = kept


_drop = compiled(_drop_loop)
expect = compiled(_expect_loop)


def _settle_loop(
    item_index: ItemBlock, people: UserTile, k: int, start: int, stop: int, everything: bool, reservoir: Reservoir
) -> int:
    """Rescore open candidates in float64, the k most promising of each user or `everything`, and drop those below the threshold.

    The open candidates lie in the block of items `start` to `stop`. Returns the number of personas that were rescored.
    """
    users = len(reservoir.opened)
    least = np.full(users, np.float32(-np.inf))
    waiting = np.zeros(stop - start + 1, np.int32)
    likely = np.empty(reservoir.open.shape[1], np.float32)
    for user in range(users):
        if not everything:
            # Items whose first-pass score is above the k-th score; at first these may be more than k.
            least[user], many = reservoir.bars[user] + people.errors[user], 0
            for place in range(reservoir.opened[user]):
                likely[many] = reservoir.open[user, place].guess
                many += likely[many] >= least[user]
            if many > k:
                least[user] = _kth(likely[:many], k)
        for place in range(reservoir.opened[user]):
            entry = reservoir.open[user, place]
            if entry.guess >= least[user]:
                waiting[entry.item - start + 1] += 1
    for item in range(stop - start):
        waiting[item + 1] += waiting[item]
    owners, nears = np.empty(waiting[-1], np.int32), np.empty(waiting[-1], np.uint32)
    for user in range(users):
        for place in range(reservoir.opened[user]):
            entry = reservoir.open[user, place]
            if entry.guess >= least[user]:
                turn = waiting[entry.item - start]
                owners[turn], nears[turn] = user, entry.near
                waiting[entry.item - start] = turn + 1
                entry.guess = -np.inf
    turn, scored = 0, 0
    for item in range(start, stop):
        first, slots = item_index.ends[item], item_index.ends[item + 1] - item_index.ends[item]
        while turn < waiting[item - start]:
            user, near = owners[turn], nears[turn]
            shares = item_index.popularity[item] * people.scales[user]
            shares += _prior(people.prior_ends, people.prior_items, people.prior, user, item)
            if item_index.temperature == 0:
                # Most open candidates are dropped by a float32 product, at half the time of a float64 one.
                single = -np.inf
                for slot in range(slots):
                    if near >> np.uint32(min(slot, _BITS - 1)) & np.uint32(1):
                        scored += 1
                        single = max(single, _dot32(item_index.vectors, first + slot, people.single, user))
                if single + shares + people.floats[user] < np.float64(reservoir.bars[user]) + people.errors[user]:
                    turn += 1
                    continue
            scored += 0 if item_index.temperature == 0 else slots
            best, winner, spread = -np.inf, 0, 0.0
            for slot in range(slots):
                if near >> np.uint32(min(slot, _BITS - 1)) & np.uint32(1):
                    similar = _dot(item_index.vectors, first + slot, people.vectors, user)
                    if similar > best + LEVEL:
                        winner = slot
                    if item_index.temperature > 0:
                        highest = max(best, similar)
                        spread = spread * np.exp((best - highest) / item_index.temperature)
                        spread += np.exp((similar - highest) / item_index.temperature)
                    best = max(best, similar)
            others = 0.0
            if item_index.temperature > 0:
                others = item_index.temperature * (np.log(spread) - np.log(slots))
            score = best + others + shares
            entry = reservoir.found[user, reservoir.counted[user]]
            entry.item, entry.slot, entry.best, entry.others = item, winner, best, others
            entry.score = np.rint(score * 10.0**DIGITS) / 10.0**DIGITS
            reservoir.counted[user] += 1
            turn += 1
    for user in range(users):
        _prune(people.errors[user], k, user, reservoir)
    return scored


def _prune_loop(error: float, k: int, user: int, reservoir: Reservoir) -> None:
    many = reservoir.counted[user]
    found = reservoir.found[user]
    if many >= k:
        scores = np.empty(many)
        for place in range(many):
            scores[place] = found[place].score
        kth = _kth(scores, k)
        reservoir.bars[user] = _bar(kth, error, reservoir.bars[user])
        # Places for scores equal to the k-th go to the earlier items.
        level, equal = k, 0
        for place in range(many):
            level -= scores[place] > kth
            equal += scores[place] == kth
        latest = np.inf
        if equal > level:
            items, equal = np.empty(equal), 0
            for place in range(many):
                if scores[place] == kth:
                    items[equal] = found[place].item
                    equal += 1
            latest = np.partition(items, level - 1)[level - 1]
        kept = 0
        for place in range(many):
            if scores[place] > kth or (scores[place] == kth and found[place].item <= latest):
                found[kept] = found[place]
                kept += 1
        reservoir.counted[user] = kept
    _drop(reservoir.open[user], user, reservoir.opened, reservoir.bars[user])


_prune = compiled(_prune_loop)
settle = compiled(_settle_loop)


def _seed_loop(
    items: np.ndarray,
    slots: np.ndarray,
    best: np.ndarray,
    others: np.ndarray,
    scores: np.ndarray,
    people: UserTile,
    reservoir: Reservoir,
) -> None:
    """Fill the reservoir with the results of earlier blocks, (users, k) each; -1 is no item."""
    for user in range(len(items)):
        for place in range(items.shape[1]):
            if items[user, place] >= 0:
                entry = reservoir.found[user, reservoir.counted[user]]
                entry.item, entry.slot, entry.score = items[user, place], slots[user, place], scores[user, place]
                entry.best, entry.others = best[user, place], others[user, place]
                reservoir.counted[user] += 1
        _prune(people.errors[user], items.shape[1], user, reservoir)


seed = compiled(_seed_loop)


def _give_loop(
    item_index: ItemBlock,
    people: UserTile,
    reservoir: Reservoir,
    items: np.ndarray,
    personas: np.ndarray,
    best: np.ndarray,
    others: np.ndarray,
    prior: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Write the rescored items into `TopItems`'s (users, k) arrays, best first, ties by item."""
    for user in range(len(items)):
        found = reservoir.found[user, : reservoir.counted[user]]
        by_item = np.argsort(found["item"])
        by_score = np.argsort(-found["score"][by_item], kind="mergesort")  # stable
        for place in range(len(found)):
            entry = found[by_item[by_score[place]]]
            items[user, place], best[user, place], others[user, place] = entry.item, entry.best, entry.others
            personas[user, place] = item_index.ends[entry.item] + entry.slot
            prior[user, place] = _prior(people.prior_ends, people.prior_items, people.prior, user, entry.item)
            scores[user, place] = entry.score


give = compiled(_give_loop)
