"""Exact top-k items for a block of users, over personas of unequal number per item.

A float32 pass ranks everything; only what its rounding error leaves open is scored again in float64, and that score
decides. Cost: users x personas x d for the pass; users x finalists x slots x d for the rest, with finalists close to k.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:  # imported where it computes: the driver only builds the shelf, and torch takes seconds
    import torch

# float32 dot products of unit vectors are off by less than d * 2**-24 (2.3e-5 for d = 384), in practice a tenth of it;
# soft maximum and popularity add a few more roundings. Twice the bound, since two scores are compared.
_MARGIN = 1e-4


@dataclass(frozen=True, slots=True)
class Shelf:
    """Items and their personas, padded to the most personas any item has.

    Attributes:
        item_ids: (items,) sorted, so that a lower index is an earlier id.
        vectors: (personas, d) float32 unit vectors.
        slots: (items, slots) row in `vectors`, 0 where there is none.
        filled: (items, slots) whether the slot holds a persona.
        popularity: (items,) float64 popularity share of the score.
        temperature, aggregation: how an item's personas combine (see `encoder.head`).
    """

    item_ids: np.ndarray
    vectors: np.ndarray
    slots: np.ndarray
    filled: np.ndarray
    popularity: np.ndarray
    temperature: float
    aggregation: str

    @classmethod
    def build(
        cls, items: np.ndarray, vectors: np.ndarray, popularity: dict[str, float], temperature: float, aggregation: str
    ) -> "Shelf":
        """From one row per persona, ordered by item: its item (p,) and vector (p, d)."""
        item_ids, first, counts = np.unique(items, return_index=True, return_counts=True)
        width = int(counts.max(initial=1))
        filled = np.arange(width) < counts[:, None]
        slots = np.where(filled, first[:, None] + np.arange(width), 0)
        shares = np.array([popularity[item] for item in item_ids.tolist()], dtype=np.float64)
        return cls(item_ids, vectors, slots, filled, shares, temperature, aggregation)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Top items of each user, (users, k) each, best first; places a user has no item for have item -1.

    Attributes:
        items: index into `Shelf.item_ids`.
        personas: row of the winning persona in `Shelf.vectors`.
        best: u . winning persona.
        others: what the item's other personas add (0 for `max`; negative when they pull the soft maximum down).
        prior: what the collaborative prior adds.
        scores: best + others + popularity, scaled for the user, + prior.
    """

    items: np.ndarray
    personas: np.ndarray
    best: np.ndarray
    others: np.ndarray
    prior: np.ndarray
    scores: np.ndarray


def top_items(
    shelf: Shelf,
    users: np.ndarray,
    seen: list[np.ndarray],
    k: int,
    block_bytes: int,
    prior: csr_array,
    scales: np.ndarray | None = None,
    candidates: list[np.ndarray | None] | None = None,
    offered: np.ndarray | None = None,
) -> Ranked:
    """Exact top-k.

    Args:
        shelf: items and personas.
        users: (users, d) float64 unit vectors.
        seen: for each user the indices of items to leave out.
        k: places wanted.
        block_bytes: bound on the scores held at once.
        prior: (users, items) what the collaborative prior adds to each score; nothing where no entry is stored.
        scales: (users,) what the shelf's popularity is times for each user; None for one.
        candidates: for each user the indices of the only items to rank, in any order; None, for all or for one user, is
            every item.
        offered: (items,) bool, items that may be recommended at all; None is every item.
    """
    scales = np.ones(len(users)) if scales is None else scales
    per_user = 4 * shelf.slots.size
    step = max(1, block_bytes // max(per_user, 1))
    blocks = [
        _top_block(
            shelf,
            users[part],
            seen[part],
            k,
            prior[part],
            scales[part],
            candidates[part] if candidates is not None else [],
            offered,
        )
        for part in (slice(start, start + step) for start in range(0, len(users), step))
    ]
    fields = ("items", "personas", "best", "others", "prior", "scores")
    return Ranked(*(np.concatenate([getattr(block, name) for block in blocks]) for name in fields))


def exact_scores(
    shelf: Shelf,
    users: np.ndarray,
    items: np.ndarray,
    prior: csr_array | None = None,
    scales: np.ndarray | None = None,
) -> Ranked:
    """float64 scores of given items, (users, n) each, in the order given. O(users x n x slots x d).

    `prior` (users, all items) and `scales` as in `top_items`; None where there are none.
    """
    rows = shelf.slots[items]  # (users, n, slots)
    similarities = np.einsum("ud,unsd->uns", users, shelf.vectors[rows].astype(np.float64))
    hidden = np.where(shelf.filled[items], similarities, -np.inf)
    winner = hidden.argmax(-1)[..., None]
    best = np.take_along_axis(hidden, winner, -1)[..., 0]
    others = np.zeros_like(best)
    if shelf.aggregation == "softmax":
        spread = np.exp((hidden - best[..., None]) / shelf.temperature).sum(-1)
        others = shelf.temperature * (np.log(spread) - np.log(shelf.filled[items].sum(-1)))
    personas = np.take_along_axis(rows, winner, -1)[..., 0]
    added = np.zeros_like(best) if prior is None else prior[np.arange(len(items))[:, None], items].toarray()
    liked = shelf.popularity[items] * (1.0 if scales is None else scales[:, None])
    return Ranked(items, personas, best, others, added, best + others + liked + added)


def _top_block(
    shelf: Shelf,
    users: np.ndarray,
    seen: list[np.ndarray],
    k: int,
    prior: csr_array,
    scales: np.ndarray,
    candidates: list[np.ndarray | None],
    offered: np.ndarray | None,
) -> Ranked:
    import torch

    rough = _rough_scores(shelf, users, scales)
    if prior.nnz:
        rows, columns = prior.tocoo().coords
        rough[torch.from_numpy(rows.astype(np.int64)), torch.from_numpy(columns.astype(np.int64))] += torch.from_numpy(
            prior.data.astype(np.float32)
        )
    owners = np.repeat(np.arange(len(users)), [len(s) for s in seen])
    if len(owners):
        rough[torch.from_numpy(owners), torch.from_numpy(np.concatenate(seen).astype(np.int64))] = -torch.inf
    for user, only in enumerate(candidates):
        if only is not None:
            others = np.ones(rough.shape[1], bool)
            others[only] = False
            rough[user, torch.from_numpy(others)] = -torch.inf
    if offered is not None:
        rough[:, torch.from_numpy(~offered)] = -torch.inf
    finalists = _finalists(rough, min(k, rough.shape[1]))
    exact = exact_scores(shelf, users, finalists, prior, scales)
    allowed = torch.gather(rough, 1, torch.from_numpy(finalists)).numpy() > -np.inf
    # Rounded to where float64 summation order cannot reach, so that equal scores are equal whatever the block.
    rounded = np.where(allowed, np.round(exact.scores, 9), -np.inf)
    order = np.lexsort((finalists, -rounded), axis=1)[:, :k]
    order = order if order.shape[1] == k else np.pad(order, ((0, 0), (0, k - order.shape[1])), mode="edge")
    take = [
        np.take_along_axis(a, order, 1)
        for a in (finalists, exact.personas, exact.best, exact.others, exact.prior, rounded)
    ]
    missing = np.isneginf(take[5]) | (np.arange(k) >= finalists.shape[1])
    take[0] = np.where(missing, -1, take[0])
    return Ranked(*take)


def _rough_scores(shelf: Shelf, users: np.ndarray, scales: np.ndarray) -> "torch.Tensor":
    """float32 scores, (users, items)."""
    import torch

    vectors = torch.tensor(shelf.vectors)  # a copy: broadcast arrays are read-only, which torch does not support
    flat = torch.from_numpy(users.astype(np.float32)) @ vectors.T  # (users, personas)
    hidden = flat[:, torch.from_numpy(shelf.slots)].masked_fill_(~torch.from_numpy(shelf.filled), -torch.inf)
    if shelf.aggregation == "max":
        scores = hidden.amax(-1)
    else:
        scores = shelf.temperature * torch.logsumexp(hidden / shelf.temperature, -1)
        scores -= shelf.temperature * torch.from_numpy(np.log(shelf.filled.sum(1))).float()
    return scores + torch.from_numpy(scales).float()[:, None] * torch.from_numpy(shelf.popularity).float()


def _finalists(rough: "torch.Tensor", k: int) -> np.ndarray:
    """Indices, (users, n >= k), of every item that may be among a user's top k."""
    wanted = min(k + 32, rough.shape[1])
    while True:
        values, indices = rough.topk(wanted, dim=1)
        doubtful = values[:, -1] > values[:, k - 1] - _MARGIN
        # All of one score down to the last place fetched: there may be more of them further down.
        if wanted == rough.shape[1] or not bool((doubtful & (values[:, -1] > -np.inf)).any()):
            return np.array(indices.numpy())  # a copy: scipy refuses to index by memory that is torch's
        wanted = min(2 * wanted, rough.shape[1])
