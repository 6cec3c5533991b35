"""The collaborative prior: which items the same people meet, as sparse similarities frozen in the artefact.

A user's prior is a weighted sum of rows of `Prior.similarities`, by the items of the user's own history: it needs nobody
else's row at serving time, and what it adds to a score is a share of its own.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from persona_pipeline.collaborative.ease import EaseConfig, fit_ease
from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.item_item import truncate
from persona_pipeline.collaborative.prox_knn import ProxKnnConfig, fit_prox_knn
from persona_pipeline.config import EncodersConfig
from persona_pipeline.warehouse import Warehouse

DECIMALS = 12
"""Similarities are rounded to these before the nearest are chosen, so that the order of summation breaks no ties."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Similarities between items.

    Attributes:
        item_ids: (items,) sorted.
        similarities: (items, items) CSR; the largest of a row is about one, since they are divided by the mean of the
            rows' largest.
    """

    item_ids: np.ndarray
    similarities: csr_array

    @classmethod
    def fit(cls, interactions: Interactions, config: EncodersConfig) -> "Prior":
        """Nothing where the configuration asks for none. O(interactions x history) for ProxKNN, O(items^3) for EASE."""
        age = config.age_half_life_days or None
        if config.prior == "none" or not len(interactions):
            return cls.none()
        if config.prior == "prox_knn":
            fitted = fit_prox_knn(interactions, ProxKnnConfig(age_half_life_days=age)).similarities
        else:
            fitted = fit_ease(interactions, EaseConfig(age_half_life_days=age)).similarities
        rounded = csr_array(fitted)
        rounded.data = np.maximum(np.round(rounded.data, DECIMALS), 0.0)
        return cls.scaled(interactions.item_ids, truncate(rounded, config.prior_neighbours))

    @classmethod
    def scaled(cls, item_ids: np.ndarray, kept: csr_array) -> "Prior":
        """From the similarities kept, none below zero, in any unit."""
        largest = kept.max(axis=1).toarray().ravel()
        scale = float(largest[largest > 0].mean()) if (largest > 0).any() else 1.0
        return cls(item_ids, csr_array(kept / scale))

    @classmethod
    def none(cls) -> "Prior":
        """No item is like another."""
        return cls(np.empty(0, dtype=np.str_), csr_array((0, 0)))

    def onto(self, item_ids: np.ndarray) -> csr_array:
        """(items, n): rows are this prior's items, columns `item_ids` (n,); an unknown item has nothing."""
        place = pc.index_in(pa.array(item_ids, pa.string()), pa.array(self.item_ids, pa.string()))
        known = np.flatnonzero(place.is_valid().to_numpy(zero_copy_only=False))
        rows = place.drop_null().to_numpy()
        picked = csr_array((np.ones(len(known)), (rows, known)), shape=(len(self.item_ids), len(item_ids)))
        return csr_array(self.similarities @ picked)

    def histories(self, owners: np.ndarray, items: pa.Array, weights: np.ndarray, users: int) -> csr_array:
        """(users, items) CSR of what each user's history weighs; a row sums to one, less the part of items the prior does not know.

        `owners`, `items`, `weights` (n,): user row, item id and weight of each interaction, in any scale by user.
        """
        place = pc.fill_null(pc.index_in(items, pa.array(self.item_ids, pa.string())), -1).to_numpy()
        totals = np.bincount(owners, weights, minlength=users)
        known = place >= 0
        share = weights[known] / totals[owners[known]]
        return csr_array((share, (owners[known], place[known])), shape=(users, len(self.item_ids)))


def liked_interactions(warehouse: Warehouse, min_liked_rating: float) -> Interactions:
    """Liked reviews in time order, ties by input order."""
    rows = warehouse.query(
        "SELECT user_id, item_id, epoch(reviewed_at)::BIGINT // 86400 AS day FROM reviews WHERE rating >= $liked "
        "ORDER BY reviewed_at, source_file, source_line",
        ["reviews"],
        {"liked": min_liked_rating},
    )
    columns = (rows[name].to_numpy(zero_copy_only=False) for name in ("user_id", "item_id", "day"))
    return Interactions.build(*columns)
