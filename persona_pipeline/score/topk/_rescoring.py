"""Rescore the top-k candidates of a first pass in float64, and merge the best of them into earlier results."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from persona_pipeline.score.item_index import ItemIndex, TopItems
from persona_pipeline.score.topk._compiled import DIGITS, LEVEL

_COPIED_BYTES = 2 * 2**20  # most vectors copied at once: four users' of a hundred stay in cache


def dots(vectors: Tensor, rows: Tensor, users: Tensor, owners: np.ndarray, copied_bytes: int) -> Tensor:
    """Compute (n,) float64 dot products of rows of `vectors` (personas, d) float32 and `users` (users, d) float64.

    `rows`, `owners` (n,), owners ascending: a user's vectors are contiguous, and multiplied in one small product. At
    most about `copied_bytes` of vectors are copied at once, into reused memory.
    """
    n, d = len(rows), vectors.shape[1]
    step = max(1, min(copied_bytes, _COPIED_BYTES) // (12 * d))
    found = torch.empty(n, dtype=torch.float64, device=rows.device)
    single = torch.empty(min(step, n), d, device=rows.device)
    double = torch.empty(min(step, n), d, dtype=torch.float64, device=rows.device)
    cuts = np.union1d(np.flatnonzero(np.diff(owners)) + 1, np.arange(0, n + step, step).clip(max=n)).tolist()
    place = 0
    for start in range(0, n, step):
        many = min(step, n - start)
        torch.index_select(vectors, 0, rows[start : start + many], out=single[:many])
        double[:many].copy_(single[:many])
        if vectors.is_cuda:
            theirs = torch.from_numpy(owners[start : start + many]).to(rows.device)
            torch.linalg.vecdot(double[:many], users[theirs], out=found[start : start + many])
            continue
        while cuts[place] < start + many:
            low, high = cuts[place], cuts[place + 1]
            torch.mv(double[low - start : high - start], users[owners[low]], out=found[low:high])
            place += 1
    return found


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of users and items with float64 similarities of the item's personas.

    Attributes:
        users: (n,) ascending row in the tile.
        items: (n,) index into `ItemIndex.item_ids`.
        similarities: (n, slots), -inf for padding and for personas that cannot be the item's best.
    """

    users: np.ndarray
    items: np.ndarray
    similarities: np.ndarray


def merge(item_index: ItemIndex, found: TopItems, pairs: Pairs, prior: csr_array, scales: np.ndarray) -> None:
    """Merge pairs that `found`, (users, k) each, does not hold yet into `found`, keeping the best k.

    `prior` (users, items) and `scales` (users,) are those of the same users.
    """
    if not len(pairs.users):
        return
    best = pairs.similarities.max(1)
    winner = (pairs.similarities >= best[:, None] - LEVEL).argmax(1)
    best = np.take_along_axis(pairs.similarities, winner[:, None], 1)[:, 0]
    others = item_index.others(pairs.similarities, best, pairs.items)
    added = np.zeros_like(best)
    if prior.nnz:
        added = prior[pairs.users[:, None], pairs.items[:, None]].toarray()[:, 0]
    liked = item_index.popularity[pairs.items] * scales[pairs.users]
    scores = np.round(best + others + liked + added, DIGITS)
    new = TopItems(pairs.items, item_index.slots[pairs.items, winner], best, others, added, scores)

    counts = np.bincount(pairs.users, minlength=len(found.items))
    column = np.arange(len(pairs.users)) - (np.cumsum(counts) - counts)[pairs.users]
    k = found.items.shape[1]

    def beside(name: str, empty: float) -> np.ndarray:
        old = getattr(found, name)
        table = np.full((len(old), k + counts.max()), empty, old.dtype)
        table[:, :k] = old
        table[pairs.users, k + column] = getattr(new, name)
        return table

    items, ranked = beside("items", -1), beside("scores", -np.inf)
    order = np.lexsort((items, -ranked), axis=1)[:, :k]
    found.items[:] = np.take_along_axis(items, order, 1)
    found.scores[:] = np.take_along_axis(ranked, order, 1)
    for name in (field.name for field in fields(TopItems) if field.name not in ("items", "scores")):
        getattr(found, name)[:] = np.take_along_axis(beside(name, 0), order, 1)
