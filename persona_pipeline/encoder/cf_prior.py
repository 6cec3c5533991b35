"""Fit the collaborative prior on liked `reviews` and `interactions`: sparse similarities of items, frozen in the artefact.

A user's prior is a weighted sum of rows of `Prior.similarities`, by the items of the user's own history: serving needs
no other user's row, and the prior's part of a score is a separate share.
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
from persona_pipeline.core.interactions import liked_sql, met_sql
from persona_pipeline.warehouse import Warehouse

DECIMALS = 12
"""Similarities are rounded to these before the nearest are chosen, so that the order of summation breaks no ties."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Item-item similarities of the collaborative prior.

    Attributes:
        item_ids: (items,) sorted.
        similarities: (items, items) CSR; the largest of a row is about one, since they are divided by the mean of the
            rows' largest.
    """

    item_ids: np.ndarray
    similarities: csr_array

    @classmethod
    def fit(cls, interactions: Interactions, config: EncodersConfig) -> "Prior":
        """Fit the configured prior; `Prior.none()` for none. O(interactions x history) for ProxKNN, O(items^3) for EASE."""
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
        """Build a prior from non-negative similarities in any unit."""
        largest = kept.max(axis=1).toarray().ravel()
        scale = float(largest[largest > 0].mean()) if (largest > 0).any() else 1.0
        return cls(item_ids, csr_array(kept / scale))

    @classmethod
    def none(cls) -> "Prior":
        """Build an empty prior, which adds nothing to any score."""
        return cls(np.empty(0, dtype=np.str_), csr_array((0, 0)))

    def onto(self, item_ids: np.ndarray) -> csr_array:
        """Select similarities (items, n): rows are this prior's items, columns `item_ids` (n,), empty for an unknown item."""
        place = pc.index_in(pa.array(item_ids, pa.string()), pa.array(self.item_ids, pa.string()))
        known = np.flatnonzero(place.is_valid().to_numpy(zero_copy_only=False))
        rows = place.drop_null().to_numpy()
        picked = csr_array((np.ones(len(known)), (rows, known)), shape=(len(self.item_ids), len(item_ids)))
        return csr_array(self.similarities @ picked)

    def histories(self, owners: np.ndarray, items: pa.Array, weights: np.ndarray, users: int) -> csr_array:
        """Build the (users, items) CSR of history weights; rows sum to one, less the share of items the prior does not know.

        `owners`, `items`, `weights` (n,): user row, item id and weight of each interaction, in any scale by user.
        """
        place = pc.fill_null(pc.index_in(items, pa.array(self.item_ids, pa.string())), -1).to_numpy()
        totals = np.bincount(owners, weights, minlength=users)
        known = place >= 0
        share = weights[known] / totals[owners[known]]
        return csr_array((share, (owners[known], place[known])), shape=(users, len(self.item_ids)))


def liked_interactions(warehouse: Warehouse, min_liked_rating: float) -> Interactions:
    """Read what users liked in time order, ties by input order; an event is as strong as its weight."""
    rows = warehouse.query(
        f"SELECT user_id, item_id, epoch(occurred_at)::BIGINT // 86400 AS day, weight FROM ({met_sql()}) "
        f"WHERE {liked_sql('$liked')} ORDER BY occurred_at, source_file, source_line, interaction_id",
        ["reviews", "interactions"],
        {"liked": min_liked_rating},
    )
    users, items, days, weights = (rows[name].to_numpy(zero_copy_only=False) for name in rows.column_names)
    return Interactions.build(users, items, days, strengths=weights)
