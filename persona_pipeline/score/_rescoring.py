"""Float64 scores of the few items a first pass leaves open, and the best of them merged into what was found before."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from persona_pipeline.score.shelf import Ranked, Shelf

DIGITS = 9  # rounded to where float64 summation order cannot reach, so that equal scores are equal whatever the block
_LEVEL = 1e-12  # personas of one item no further apart than this are level, and the first of them wins
_ROWS_BYTES = 4 * 2**20  # most vectors copied at once: they stay in cache
_WIDTH = 256  # personas of one user copied at once


def dots(vectors: Tensor, rows: Tensor, users: Tensor, owners: Tensor, copied_bytes: int) -> Tensor:
    """(n,) float64 u . p of pairs of a row of `vectors` (personas, d) float32 and of `users` (users, d) float64.

    `rows`, `owners` (n,); owners ascending, which makes it one small matrix product per user. At most about `copied_bytes`
    of vectors are copied at once.
    """
    found = torch.empty(len(rows), dtype=torch.float64, device=rows.device)
    counts = torch.bincount(owners, minlength=len(users))
    place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[owners]
    d = vectors.shape[1]
    for first in range(0, int(counts.max()) if len(rows) else 0, _WIDTH):
        here = (place >= first) & (place < first + _WIDTH)
        who, owner = torch.unique(owners[here], return_inverse=True)
        width = int(min(_WIDTH, int(counts.max()) - first))
        table = torch.zeros(len(who), width, dtype=torch.int64, device=rows.device)
        column = place[here] - first
        table[owner, column] = rows[here]
        values = torch.empty(len(who), width, dtype=torch.float64, device=rows.device)
        step = max(1, min(copied_bytes, _ROWS_BYTES) // (12 * width * d))
        for start in range(0, len(who), step):
            part = slice(start, start + step)
            picked = vectors.index_select(0, table[part].reshape(-1)).view(-1, width, d).double()
            torch.bmm(picked, users[who[part], :, None], out=values[part, :, None])
        found[here] = values[owner, column]
    return found


@dataclass(frozen=True, slots=True)
class Pairs:
    """Items of users with float64 similarities of their personas, -inf for those that cannot be the best or are not there.

    Attributes:
        users: (n,) ascending row in the tile.
        items: (n,) index into `Shelf.item_ids`.
        similarities: (n, slots).
    """

    users: np.ndarray
    items: np.ndarray
    similarities: np.ndarray


def merge(shelf: Shelf, found: Ranked, pairs: Pairs, prior: csr_array, scales: np.ndarray) -> None:
    """Put the best of `found`, (users, k) each, and of pairs it does not hold into `found`.

    `prior` (users, items) and `scales` (users,) are those of the same users.
    """
    if not len(pairs.users):
        return
    best = pairs.similarities.max(1)
    winner = (pairs.similarities >= best[:, None] - _LEVEL).argmax(1)
    best = np.take_along_axis(pairs.similarities, winner[:, None], 1)[:, 0]
    others = np.zeros_like(best)
    if shelf.aggregation == "softmax":
        spread = np.exp((pairs.similarities - best[:, None]) / shelf.temperature).sum(1)
        others = shelf.temperature * (np.log(spread) - np.log(shelf.filled[pairs.items].sum(1)))
    added = np.zeros_like(best)
    if prior.nnz:
        added = prior[pairs.users[:, None], pairs.items[:, None]].toarray()[:, 0]
    liked = shelf.popularity[pairs.items] * scales[pairs.users]
    scores = np.round(best + others + liked + added, DIGITS)
    new = Ranked(pairs.items, shelf.slots[pairs.items, winner], best, others, added, scores)

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
    for name in (field.name for field in fields(Ranked) if field.name not in ("items", "scores")):
        getattr(found, name)[:] = np.take_along_axis(beside(name, 0), order, 1)
