"""Rank scores into lists and compute metrics per user and cut-off: hit, MRR, NDCG, recall, precision, coverage, popularity.

With one relevant item per user, as in leave-one-out, `hit` equals `recall` and `ndcg` is 1 / log2(1 + rank).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from persona_pipeline.core.arrays import offsets_of

METRICS = ("hit", "mrr", "ndcg", "recall", "precision")
CUTOFFS = (1, 5, 10, 20)
CUTOFF = 10
"""The cut-off by which settings are chosen and encoders compared."""

_BLOCK = 1 << 23  # scores ranked in one go


@dataclass(frozen=True, slots=True)
class RelevantItems:
    """Relevant items of each user, ragged.

    Attributes:
        items: (n,) int64 catalogue indices; those of user u are `items[offsets[u]:offsets[u + 1]]`, each once.
        offsets: (users + 1,) int64, from 0 to n.

    Raises ValueError where the two do not fit, or a user's item is repeated or negative.
    """

    items: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.offsets) or self.offsets[0] or self.offsets[-1] != len(self.items) or np.any(self.sizes < 0):
            raise ValueError(f"offsets must rise from 0 to the number of items, {len(self.items)}")
        if np.any(self.items < 0):
            raise ValueError("a relevant item has a negative index")
        order = np.lexsort((self.items, self.owners))
        items, owners = self.items[order], self.owners[order]
        repeated = np.flatnonzero((items[1:] == items[:-1]) & (owners[1:] == owners[:-1]))
        if len(repeated):
            raise ValueError(
                f"item {items[repeated[0]]} is twice among the relevant items of user {owners[repeated[0]]}"
            )

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.offsets) - 1

    @property
    def sizes(self) -> np.ndarray:
        """Number of relevant items of each user, (users,)."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> np.ndarray:
        """The user of each relevant item, (n,)."""
        return np.repeat(np.arange(self.users), self.sizes)

    def only(self, targets: np.ndarray) -> "RelevantItems":
        """Restrict to the relevant items that `targets`, (n,) bool, marks; users may be left with none."""
        sizes = np.bincount(self.owners[targets], minlength=self.users)
        return RelevantItems(self.items[targets], offsets_of(sizes))

    def of(self, users: np.ndarray) -> "RelevantItems":
        """Restrict to the users that `users`, (users,) bool, marks, in their order."""
        offsets = offsets_of(self.sizes[users])
        return RelevantItems(self.items[users[self.owners]], offsets)


def per_user(ranked: np.ndarray, truth: RelevantItems, cutoffs: Sequence[int] = CUTOFFS) -> dict[str, np.ndarray]:
    """Compute metrics of every user's list, (users,) float64 each, named `ndcg@10`.

    Over the first k places: `hit` is whether any is relevant, `mrr` one over the first relevant place, `precision`
    relevant places / k, `recall` relevant places / relevant items. `ndcg` is the sum of 1 / log2(1 + place) over
    relevant places, divided by the most a list of k could reach (Järvelin and Kekäläinen 2002).

    Args:
        ranked: (users, k) int catalogue indices, best first; -1 is an empty place, at the end or before.
        truth: relevant items of the same users, at least one each.
        cutoffs: values of k.

    Raises ValueError for an item repeated in a list, lists shorter than the largest cut-off, or a user without a
    relevant item, for whom no metric is defined.
    """
    _check(ranked, truth, max(cutoffs))
    relevant = _relevant(ranked, truth)
    found = np.cumsum(relevant, axis=1)
    discounts = 1 / np.log2(np.arange(2, ranked.shape[1] + 2))
    gains = np.cumsum(relevant * discounts, axis=1)
    ideal = np.cumsum(discounts)
    reciprocal = np.where(found[:, -1] > 0, 1 / (1 + relevant.argmax(1)), 0.0)
    values = {}
    for k in cutoffs:
        hits = found[:, k - 1]
        values[f"hit@{k}"] = (hits > 0).astype(np.float64)
        values[f"mrr@{k}"] = np.where(hits > 0, reciprocal, 0.0)
        values[f"ndcg@{k}"] = gains[:, k - 1] / ideal[np.minimum(truth.sizes, k) - 1]
        values[f"recall@{k}"] = hits / truth.sizes
        values[f"precision@{k}"] = hits / k
    return values


def top_lists(scores: np.ndarray, hidden: sparse.csr_array | tuple[np.ndarray, np.ndarray], k: int) -> np.ndarray:
    """Rank the k best items of each user, (users, k) int64, best first; among equals the lower index comes first.

    Args:
        scores: (users, items) float; an item scored -inf is left out like a hidden one.
        hidden: items to leave out: the cells of a sparse (users, items) matrix that are not 0, or their rows and columns.
        k: places; -1 where fewer items are left.

    Only the k places are sorted: O(users x items). Memory: 64 MiB or one user's scores, and three times that for a
    while.

    Raises ValueError for a NaN score.
    """
    users, items = scores.shape
    if isinstance(hidden, tuple):
        hidden = sparse.csr_array((np.ones(len(hidden[0]), dtype=np.bool_), hidden), shape=scores.shape)
    step = max(1, _BLOCK // max(items, 1))
    lists = np.full((users, k), -1, dtype=np.int64)
    for start in range(0, users, step):
        block = np.array(scores[start : start + step])
        if np.isnan(block).any():
            raise ValueError(f"a score of users {start} to {start + len(block) - 1} is not a number")
        block[hidden[start : start + step].nonzero()] = -np.inf
        lists[start : start + step, : min(k, items)] = _best(block, min(k, items))
    return lists


def coverage(ranked: np.ndarray, items: int) -> float:
    """Share of a catalogue of `items` that occurs in any of the lists, (users, k), -1 for an empty place."""
    return len(np.unique(ranked[ranked >= 0])) / items


def average_popularity(ranked: np.ndarray, counts: np.ndarray) -> float:
    """Mean over users of the mean training count, `counts` (items,), of the items in their list; empty lists are left out."""
    held = ranked >= 0
    users = held.any(axis=1)
    totals = np.where(held, counts[ranked], 0).sum(axis=1)[users]
    return float((totals / held.sum(axis=1)[users]).mean()) if users.any() else 0.0


def _check(ranked: np.ndarray, truth: RelevantItems, longest: int) -> None:
    users, k = ranked.shape
    if users != truth.users:
        raise ValueError(f"{users} lists for {truth.users} users")
    if k < longest:
        raise ValueError(f"lists of {k} places cannot be judged at {longest}; pad them with -1")
    if not truth.sizes.all():
        raise ValueError(f"user {int(truth.sizes.argmin())} has no relevant item; leave such users out")
    ordered = np.sort(ranked, axis=1)
    repeated = np.argwhere((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0))
    if len(repeated):
        user, place = repeated[0]
        raise ValueError(f"item {ordered[user, place]} is repeated in the list of user {user}")


def _relevant(ranked: np.ndarray, truth: RelevantItems) -> np.ndarray:
    """Mark (users, k) places that hold one of the user's relevant items."""
    width = 1 + max(int(ranked.max(initial=0)), int(truth.items.max(initial=0)))
    wanted = truth.owners * width + truth.items  # a user and an item as one number
    lists = np.arange(truth.users)[:, None] * width + ranked.astype(np.int64)
    return np.isin(lists, wanted) & (ranked >= 0)


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    """Select exactly k of each row: all above the k-th best score, then of those equal to it the lowest indices."""
    threshold = -np.partition(-scores, k - 1, axis=1)[:, k - 1, None]
    above, equal = scores > threshold, scores == threshold
    room = k - above.sum(axis=1, keepdims=True)
    chosen = above | (equal & (np.cumsum(equal, axis=1, dtype=np.int32) <= room))
    items = np.nonzero(chosen)[1].reshape(len(scores), k)  # ascending, which a stable sort keeps among equals
    values = np.take_along_axis(scores, items, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    items, values = (np.take_along_axis(a, order, axis=1) for a in (items, values))
    best: np.ndarray = np.where(np.isneginf(values), -1, items)
    return best
