"""Score items by an item-item similarity matrix (`ItemItemModel`), the common form of EASE, ItemKNN and ProxKNN."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, issparse


@dataclass(frozen=True)
class ItemItemModel:
    """An item-item model: row i of `similarities` (items, items), dense or CSR, is item i's contribution to every item's score."""

    similarities: np.ndarray | csr_array

    def scores(self, histories: csr_array) -> np.ndarray:
        """Weighted sums of the rows of each user's items: (users, items)."""
        summed = histories @ self.similarities
        scores: np.ndarray = summed.toarray() if issparse(summed) else summed
        return scores


def truncate(similarities: np.ndarray | csr_array, n: int) -> csr_array:
    """Keep the n largest entries of each row, lower columns first among equals; CSR without stored zeros."""
    entries = csr_array(similarities).tocoo()
    rows, columns = entries.coords
    order = np.lexsort((columns, -entries.data, rows))
    starts = np.searchsorted(rows[order], np.arange(entries.shape[0]))
    kept = order[np.arange(len(order)) - starts[rows[order]] < n]
    short = csr_array((entries.data[kept], (rows[kept], columns[kept])), shape=entries.shape)
    short.eliminate_zeros()
    return short
