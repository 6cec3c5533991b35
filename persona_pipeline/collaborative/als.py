"""Fit ALS: matrix factorisation for implicit feedback (Hu, Koren and Volinsky 2008), by the library implicit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array, csr_matrix

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.model import AgeingConfig

if TYPE_CHECKING:
    from implicit.cpu.als import AlternatingLeastSquares


class AlsConfig(AgeingConfig):
    """Settings of ALS."""

    factors: int = Field(16, ge=1, description="dimensions of users and items")
    regularization: float = Field(20.0, ge=0, description="L2 penalty on the factors")
    alpha: float = Field(10.0, gt=0, description="confidence of an interaction is 1 + alpha w, of its absence 1")
    iterations: int = Field(15, ge=1, description="alternations between users and items")
    seed: int = Field(0, ge=0, description="of the first factors")


@dataclass(frozen=True)
class AlsModel:
    """Item factors; user factors are solved from the given history, so new users and decayed histories need no new fit."""

    solver: "AlternatingLeastSquares"
    alpha: float

    def scores(self, histories: csr_array) -> np.ndarray:
        """Dot products of every item with users solved from their weighted items: (users, items)."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "blas"):
            users = self.solver.recalculate_user(np.arange(histories.shape[0]), _confidence(histories, self.alpha))
        scores: np.ndarray = (users @ self.solver.item_factors.T).astype(np.float64)
        return scores


def fit_als(interactions: Interactions, config: AlsConfig) -> AlsModel:
    """Fit factors on one thread: deterministic for the same interactions and seed."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    # implicit brings its own parallelism and asks for a BLAS that has none.
    with threadpool_limits(1, "blas"):
        solver = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            iterations=config.iterations,
            num_threads=1,
            random_state=config.seed,
        )
        solver.fit(_confidence(interactions.matrix(config.age_half_life_days), config.alpha), show_progress=False)
    return AlsModel(solver, config.alpha)


def _confidence(weights: csr_array, alpha: float) -> csr_matrix:
    """Confidence 1 + alpha w of interactions; the library assumes 1 elsewhere."""
    confidence = csr_matrix(weights)
    confidence.data = 1 + alpha * confidence.data
    return confidence
