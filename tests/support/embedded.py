"""What the text_embeddings task does, by a stand-in for the base model whose vectors depend on the text alone."""

from functools import cached_property
from typing import Any

import numpy as np
from helpers import BASE_MODEL, shop, toward

from persona_pipeline.config import EncodersConfig, TextEmbeddingsConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.item_embeddings import ensure_profiles
from persona_pipeline.encoder.text_inputs import content_texts, evidence_texts, liked_interaction_texts, persona_texts
from persona_pipeline.warehouse import Warehouse

REVIEWS_ALONE = EncodersConfig(title_weight=0.0)
"""Profiles without titles."""


class _Toward:
    dimensions = 16

    def encode(self, texts: list[str]) -> np.ndarray:
        return toward(*texts)


class StandIn(Embedder):
    """An `Embedder` called BASE_MODEL that loads nothing."""

    def __init__(self, warehouse: Warehouse) -> None:
        super().__init__(TextEmbeddingsConfig(), warehouse)
        self.base_model = BASE_MODEL

    @cached_property
    def _model(self) -> Any:
        return _Toward()


def embed_texts(warehouse: Warehouse, min_liked_rating: float = 4.0) -> None:
    """Every text of the night, without profiles."""
    kinds = (
        persona_texts(warehouse),
        evidence_texts(warehouse),
        content_texts(warehouse),
        liked_interaction_texts(warehouse, min_liked_rating),
    )
    StandIn(warehouse).ensure(sorted({text for rows in kinds for text in rows["text"].to_pylist()}))


def embed(warehouse: Warehouse, min_liked_rating: float = 4.0, config: EncodersConfig = REVIEWS_ALONE) -> int:
    """Texts and profiles; returns how many profiles were new."""
    embed_texts(warehouse, min_liked_rating)
    return ensure_profiles(warehouse, StandIn(warehouse), config)


def mean_of(*texts: str) -> np.ndarray:
    """The profile of an item of which these were said, (d,)."""
    mean = toward(*texts).mean(0)
    unit: np.ndarray = mean / np.linalg.norm(mean)
    return unit


def shop_profile(item: str) -> np.ndarray:
    """The profile of an item of the shop, (d,)."""
    return mean_of(*(row["text"] for row in shop()["reviews"] if row["item_id"] == item))
