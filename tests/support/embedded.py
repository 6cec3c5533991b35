"""What the text_embeddings task does, by a stand-in for the base model whose vectors depend on the text alone."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import helpers
import numpy as np
import pyarrow as pa
from helpers import BASE_MODEL, shop, toward

from persona_pipeline.config import EncodersConfig, KeyedConfig, TextEmbeddingsConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.embeddings.mapped import vectors_on_disk
from persona_pipeline.encoder.item_embeddings import ensure_profiles
from persona_pipeline.encoder.text_inputs import content_texts, evidence_texts, liked_interaction_texts, persona_texts
from persona_pipeline.keyed import Keyed, keyed_work
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

    @property
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
    with keyed_by(warehouse) as keyed:
        return ensure_profiles(keyed, StandIn(warehouse), config)


def vectors_of_keys(warehouse: Warehouse, keys: pa.ChunkedArray, base_model: str) -> np.ndarray:
    """Cached vectors, (n, d), of keys of `text_embeddings`."""
    with vectors_on_disk(warehouse, pa.table({"text_hash": keys}), base_model) as vectors:
        return vectors.of(keys)


def mean_of(*texts: str) -> np.ndarray:
    """The profile of an item of which these were said, (d,)."""
    mean = toward(*texts).mean(0)
    unit: np.ndarray = mean / np.linalg.norm(mean)
    return unit


def shop_profile(item: str) -> np.ndarray:
    """The profile of an item of the shop, (d,)."""
    return mean_of(*(row["text"] for row in shop()["reviews"] if row["item_id"] == item))


@contextmanager
def keyed_by(warehouse: Warehouse, bucket_bytes: int = 2**26) -> Iterator[Keyed]:
    """What runs keyed work here, in buckets of some size."""
    with keyed_work(warehouse, KeyedConfig(bucket_bytes=bucket_bytes), "text_embeddings") as keyed:
        yield keyed


def by_value() -> None:
    """Have Spark's workers get what the tests define: they find the library alone."""
    from pyspark import cloudpickle

    for module in (sys.modules[__name__], helpers):
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
