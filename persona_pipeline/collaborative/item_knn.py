"""Fit ItemKNN: cosine similarity of items by common users (Sarwar et al. 2001, section 3; shrinkage as in Bell and Koren 2007)."""

import numpy as np
from pydantic import Field

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.item_item import ItemItemModel, truncate
from persona_pipeline.collaborative.model import AgeingConfig


class ItemKnnConfig(AgeingConfig):
    """Settings of ItemKNN."""

    shrinkage: float = Field(10.0, ge=0, description="added below the fraction: distrust of pairs that few people met")
    neighbours: int = Field(100, ge=1, description="most similar items kept for each item of a history")


def fit_item_knn(interactions: Interactions, config: ItemKnnConfig) -> ItemItemModel:
    """Compute similarities n_ij / (sqrt(n_i n_j) + shrinkage), n_ij users of both items, with zero diagonal; CSR.

    With time decay the counts are sums over users of products of weights: the cosine of weighted columns.
    """
    met = interactions.matrix(config.age_half_life_days)
    together = (met.T @ met).tocoo()
    rows, columns = together.coords
    length = np.sqrt((met**2).sum(axis=0))
    together.data = together.data / (length[rows] * length[columns] + config.shrinkage)
    together.data[rows == columns] = 0
    return ItemItemModel(truncate(together.tocsr(), config.neighbours))
