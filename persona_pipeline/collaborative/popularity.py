"""Rank items by popularity, the same list for all users (baseline)."""

from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.model import ModelConfig


class PopularityConfig(ModelConfig):
    """Settings of popularity."""

    window_days: int | None = Field(
        None, ge=1, description="only the last days up to the newest interaction; null: all"
    )


@dataclass(frozen=True)
class PopularityModel:
    """log(1 + users of each item within the window), (items,)."""

    popularity: np.ndarray

    def scores(self, histories: csr_array) -> np.ndarray:
        """The same row for every user: (users, items)."""
        return np.tile(self.popularity, (histories.shape[0], 1))


def fit_popularity(interactions: Interactions, config: PopularityConfig) -> PopularityModel:
    """Count users per item within the window: the newest day and the `window_days` - 1 before it."""
    if config.window_days is not None and len(interactions):
        interactions = interactions.without(interactions.days <= interactions.days.max() - config.window_days)
    return PopularityModel(np.log1p(interactions.counts()))
