"""Define the interface of collaborative models (`Model`), their settings' base classes, and score fusion with popularity."""

from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.sparse import csr_array


class ModelConfig(BaseModel):
    """Settings of a collaborative model; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AgeingConfig(ModelConfig):
    """Settings of a model with time decay of interactions."""

    age_half_life_days: float | None = Field(
        None, gt=0, description="days after which an interaction teaches half as much; null: all teach the same"
    )


class Model(Protocol):
    """A fitted model: scores the whole catalogue for given histories."""

    def scores(self, histories: csr_array) -> np.ndarray:
        """Score (users, items) float64 for users given by the weights of their items, `Interactions.histories`.

        The block is dense: pass as many rows at a time as memory allows. Items in the history are scored like any
        other.
        """
        ...


def with_popularity(scores: np.ndarray, counts: np.ndarray, weight: float) -> np.ndarray:
    """Fuse scores, standardised by user, with popularity: s / std(s) + weight * log(1 + count).

    Dividing by the standard deviation over the catalogue keeps a user's ranking and makes one weight mean the same for
    models whose scores have no common unit, and for long histories as for short ones. Where a model scores all items
    alike (an empty history), popularity alone decides, whatever its weight.

    Args:
        scores: (users, items)
        counts: users of each item, (items,)
        weight: of popularity; 0 leaves the model's own ranking.

    Returns:
        (users, items) float64
    """
    spread = scores.std(axis=1, keepdims=True)
    silent = spread <= 1e-12 * np.abs(scores).max(axis=1, keepdims=True, initial=0)
    scaled = np.divide(scores, spread, out=np.zeros(scores.shape), where=~silent)
    mixed: np.ndarray = scaled + np.where(silent, 1.0, weight) * np.log1p(counts)
    return mixed
