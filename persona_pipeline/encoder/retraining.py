"""When to train, and from what: the policy, the encoder's id, and its inputs gathered from the warehouse."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from persona_pipeline.config import PipelineConfig
from persona_pipeline.encoder.inputs import liked_interaction_texts, persona_texts
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.errors import PipelineError
from persona_pipeline.text_embeddings import vectors_of
from persona_pipeline.warehouse import Warehouse

TRAINED_ON = ("training_pairs", "item_personas", "item_summaries", "review_aspects", "user_histories", "reviews")


@dataclass(frozen=True, slots=True)
class Served:
    """The encoder of the parent release, as its row in `encoders` tells."""

    encoder_id: str
    as_of: date
    base_model: str
    text_version: str
    config_digest: str


def settings_digest(config: PipelineConfig) -> str:
    """Hash of the settings that make an encoder what it is."""
    settings = (config.encoders.model_dump(mode="json"), config.training_pairs.model_dump(mode="json"))
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def reason_to_train(served: Served | None, as_of: date, base_model: str, config: PipelineConfig) -> str | None:
    """Why the served encoder will not do tonight, or None when it will."""
    if served is None:
        return "there is no encoder yet"
    if served.base_model != base_model:
        return f"the base model changed from {served.base_model} to {base_model}"
    if served.text_version != TEXT_VERSION:
        return f"the text version changed from {served.text_version} to {TEXT_VERSION}"
    if served.config_digest != settings_digest(config):
        return "the settings of encoders or training_pairs changed"
    age = (as_of - served.as_of).days
    due = config.encoders.retrain_every_days
    return f"the served encoder is {age} days old, {due} are allowed" if age >= due else None


def encoder_id(as_of: date, base_model: str, config: PipelineConfig, versions: dict[str, int]) -> str:
    """Hash of all a training depends on; training again from the same makes the same encoder."""
    parts = (as_of.isoformat(), base_model, TEXT_VERSION, settings_digest(config), sorted(versions.items()))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Everything the head is trained on.

    Attributes:
        pairs: rows of `training_pairs`.
        persona_ids, persona_items, persona_embeddings: current personas, (p,), (p,), (p, d).
        interactions: embedding of each liked interaction by review_id, (d,).
        liked_counts: liked interactions by item.
    """

    pairs: pa.Table
    persona_ids: np.ndarray
    persona_items: np.ndarray
    persona_embeddings: np.ndarray
    interactions: dict[str, np.ndarray]
    liked_counts: dict[str, int]


def training_data(warehouse: Warehouse, base_model: str, min_liked_rating: float) -> TrainingData:
    """Gather it. Raises PipelineError where the cache lacks a text (the text_embeddings task has not run)."""
    pairs = warehouse.read("training_pairs")
    personas = with_vectors(warehouse, persona_texts(warehouse), base_model)
    interactions = with_vectors(warehouse, liked_interaction_texts(warehouse, min_liked_rating), base_model)
    liked = warehouse.query(
        "SELECT item_id, count(*) AS n FROM reviews WHERE rating >= $liked GROUP BY item_id ORDER BY item_id",
        ["reviews"],
        {"liked": min_liked_rating},
    )
    return TrainingData(
        pairs,
        personas["persona_id"].to_numpy(zero_copy_only=False).astype(str),
        personas["item_id"].to_numpy(zero_copy_only=False).astype(str),
        vectors_of(personas["vector"]),
        dict(zip(interactions["review_id"].to_pylist(), vectors_of(interactions["vector"]), strict=True)),
        dict(zip(liked["item_id"].to_pylist(), liked["n"].to_pylist(), strict=True)),
    )


def with_vectors(warehouse: Warehouse, rows: pa.Table, base_model: str) -> pa.Table:
    """Rows with their base embedding by text_hash as `vector`, order kept."""
    numbered = rows.append_column("_row", pa.array(np.arange(rows.num_rows)))
    found = warehouse.query(
        "SELECT rows.* EXCLUDE (_row), vector FROM rows JOIN text_embeddings USING (text_hash) "
        "WHERE base_model = $base_model ORDER BY _row",
        ["text_embeddings"],
        {"base_model": base_model},
        rows=numbered,
    )
    if found.num_rows != rows.num_rows:
        raise PipelineError(
            f"{rows.num_rows - found.num_rows} texts have no embedding by {base_model}; run the text_embeddings task first"
        )
    return found
