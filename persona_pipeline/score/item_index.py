"""Hold the item index (items with their persona vectors, as arrays) and the result arrays of a ranking (`TopItems`)."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from persona_pipeline.core.arrays import padded_slots


@dataclass(frozen=True, slots=True)
class ItemIndex:
    """Items and their personas, padded to the largest number of personas per item.

    Attributes:
        item_ids: (items,) sorted, so that a lower index is an earlier id.
        vectors: (personas, d) float32 unit vectors.
        slots: (items, slots) row in `vectors`, 0 for padding.
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
    ) -> "ItemIndex":
        """Build the index from one row per persona, ordered by item: its item (p,) and vector (p, d)."""
        item_ids, counts = np.unique(items, return_counts=True)
        slots, filled = padded_slots(counts)
        shares = np.array([popularity[item] for item in item_ids.tolist()], dtype=np.float64)
        return cls(item_ids, vectors, slots, filled, shares, temperature, aggregation)

    def part(self, start: int, stop: int) -> "ItemIndex":
        """Restrict the index to items `start` to `stop`, with copies of their vectors."""
        filled = self.filled[start:stop]
        first = int(self.slots[start, 0])
        vectors = self.vectors[first : first + int(filled.sum())].copy()
        slots = np.where(filled, self.slots[start:stop] - first, 0)
        liked = self.popularity[start:stop]
        return ItemIndex(self.item_ids[start:stop], vectors, slots, filled, liked, self.temperature, self.aggregation)

    def spans(self, most_bytes: int) -> list[tuple[int, int]]:
        """Split the items into spans (start, stop) of at most `most_bytes` of vectors, or of one item."""
        ends = np.cumsum(self.filled.sum(1)) * self.vectors.itemsize * self.vectors.shape[1]
        found, start = [], 0
        while start < len(ends):
            before = int(ends[start - 1]) if start else 0
            stop = max(int(np.searchsorted(ends, before + most_bytes, side="right")), start + 1)
            found.append((start, stop))
            start = stop
        return found

    def others(self, similarities: np.ndarray, best: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Shares of items' other personas in a score, beside the best: tau * (log sum exp(s / tau) - log n) - best; 0 for `max`.

        Args:
            similarities: (..., slots), -inf where there is no persona.
            best: (...,) the largest of each.
            items: (...,) indices into `item_ids`.
        """
        if self.aggregation != "softmax":
            return np.zeros_like(best)
        spread = np.exp((similarities - best[..., None]) / self.temperature).sum(-1)
        shares: np.ndarray = self.temperature * (np.log(spread) - np.log(self.filled[items].sum(-1)))
        return shares


@dataclass(frozen=True, slots=True)
class TopItems:
    """Top items of each user, (users, k) arrays, best first; unused places hold item -1.

    Attributes:
        items: index into `ItemIndex.item_ids`.
        personas: row of the winning persona in `ItemIndex.vectors`.
        best: u . winning persona.
        others: share of the item's other personas (0 for `max`; negative when they pull the soft maximum down).
        prior: share of the collaborative prior.
        scores: best + others + popularity, scaled for the user, + prior.
    """

    items: np.ndarray
    personas: np.ndarray
    best: np.ndarray
    others: np.ndarray
    prior: np.ndarray
    scores: np.ndarray


def exact_scores(
    item_index: ItemIndex,
    users: np.ndarray,
    items: np.ndarray,
    prior: csr_array | None = None,
    scales: np.ndarray | None = None,
) -> TopItems:
    """Compute float64 scores of given items, (users, n) each, in the order given. O(users x n x slots x d).

    `prior` (users, all items) and `scales` as in `top_items`; both optional.
    """
    rows = item_index.slots[items]  # (users, n, slots)
    similarities = np.einsum("ud,unsd->uns", users, item_index.vectors[rows].astype(np.float64))
    hidden = np.where(item_index.filled[items], similarities, -np.inf)
    winner = hidden.argmax(-1)[..., None]
    best = np.take_along_axis(hidden, winner, -1)[..., 0]
    others = item_index.others(hidden, best, items)
    personas = np.take_along_axis(rows, winner, -1)[..., 0]
    added = np.zeros_like(best) if prior is None else prior[np.arange(len(items))[:, None], items].toarray()
    liked = item_index.popularity[items] * (1.0 if scales is None else scales[:, None])
    return TopItems(items, personas, best, others, added, best + others + liked + added)
