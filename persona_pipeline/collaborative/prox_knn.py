"""Fit ProxKNN: item similarity by proximity within users' histories, in either order."""

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.item_item import ItemItemModel
from persona_pipeline.collaborative.model import AgeingConfig

_LEAST_WEIGHT = 1e-3  # pairs further apart than this count for nothing


class ProxKnnConfig(AgeingConfig):
    """Settings of ProxKNN."""

    distance_half_life: float = Field(
        5, gt=0, description="steps apart in a user's history after which a pair counts half"
    )
    shrinkage: float = Field(5.0, ge=0, description="added below the fraction: distrust of pairs that few people met")


def fit_prox_knn(interactions: Interactions, config: ProxKnnConfig) -> ItemItemModel:
    """Compute similarities sum_u 0.5 ** ((distance - 1) / distance_half_life) / (sqrt(n_i n_j) + shrinkage).

    `distance` is the number of places between the two items in user u's history. The matrix is symmetric CSR with a
    zero diagonal. With time decay each pair counts by the product of its two weights, and n_i is the sum of squared
    weights. Pairs whose weight is under a thousandth are left out (beyond 50 places at the default half-life), so the
    cost is at most the sum of squared history lengths.
    """
    weights = interactions.age_weights(config.age_half_life_days)
    nearby = _nearby(interactions, weights, config).tocoo()
    rows, columns = nearby.coords
    length = np.sqrt(np.bincount(interactions.items, weights**2, minlength=len(interactions.item_ids)))
    nearby.data = nearby.data / (length[rows] * length[columns] + config.shrinkage)
    one_way = nearby.tocsr()
    return ItemItemModel(csr_array(one_way + one_way.T))


def reach(config: ProxKnnConfig) -> int:
    """Largest distance of a pair that counts."""
    return 1 + int(config.distance_half_life * np.log2(1 / _LEAST_WEIGHT))


def _nearby(interactions: Interactions, weights: np.ndarray, config: ProxKnnConfig) -> csr_array:
    """Sum the proximity of (earlier, later) items over users, (items, items)."""
    users, items = interactions.users, interactions.items
    shape = (len(interactions.item_ids), len(interactions.item_ids))
    summed = csr_array(shape, dtype=np.float64)
    for distance in range(1, reach(config) + 1):
        same = users[:-distance] == users[distance:]
        if not same.any():  # no history is that long
            break
        proximity = (
            0.5 ** ((distance - 1) / config.distance_half_life) * (weights[:-distance] * weights[distance:])[same]
        )
        summed += csr_array((proximity, (items[:-distance][same], items[distance:][same])), shape=shape)
    return summed
