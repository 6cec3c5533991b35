"""Score items by text similarity to a user's items (content-based baseline)."""

from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from persona_pipeline.collaborative.model import ModelConfig


class ContentConfig(ModelConfig):
    """Settings of the content model."""

    centred: bool = Field(
        False, description="subtract the mean vector first: what all items have in common says nothing"
    )


@dataclass(frozen=True)
class ContentModel:
    """Unit vectors of the items' texts, (items, d)."""

    vectors: np.ndarray

    def scores(self, histories: csr_array) -> np.ndarray:
        """Cosine of each item with the weighted sum of the user's items, (users, items); 0 for an empty history."""
        scores: np.ndarray = unit(histories @ self.vectors) @ self.vectors.T
        return scores


def fit_content(vectors: np.ndarray, config: ContentConfig) -> ContentModel:
    """Fit from vectors (items, d) in the order of `Interactions.item_ids`; an item without text has a row of zeros."""
    vectors = np.asarray(vectors, dtype=np.float64)
    if config.centred:
        has_text = np.any(vectors != 0, axis=1, keepdims=True)
        vectors = np.where(has_text, vectors - vectors.mean(axis=0, where=has_text), 0.0)
    return ContentModel(unit(vectors))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length one; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: np.ndarray = np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)
    return scaled
