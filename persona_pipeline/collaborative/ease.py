"""Fit EASE, the linear autoencoder with a closed form (Steck 2019, "Embarrassingly shallow autoencoders for sparse data")."""

import numpy as np
from pydantic import Field

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.item_item import ItemItemModel
from persona_pipeline.collaborative.model import AgeingConfig


class EaseConfig(AgeingConfig):
    """Settings of EASE."""

    l2: float = Field(300.0, gt=0, description="lambda: L2 penalty on the weights")


def fit_ease(interactions: Interactions, config: EaseConfig) -> ItemItemModel:
    """Solve for weights B of least |X - X B|^2 + lambda |B|^2 with a zero diagonal: B_ij = -P_ij / P_jj, P = (X'X + lambda I)^-1.

    Dense: 8 bytes for each pair of items some three times over, and cubic time; 3,000 items took 3 seconds on two
    cores, 20,000 would need 10 GB and, by the cube, some 20 minutes.
    """
    met = interactions.matrix(config.age_half_life_days)
    gram = (met.T @ met).toarray()
    gram[np.diag_indices_from(gram)] += config.l2
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return ItemItemModel(weights)
