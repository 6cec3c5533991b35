"""Changes of training data: what stays of an item when its personas are made one."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from drifting import build
from helpers import put, shop

from persona_pipeline.backtest.ablations import item_profiles, item_texts, mean_persona, settings
from persona_pipeline.backtest.variants import KnownData
from persona_pipeline.config import EncodersConfig, load_config
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.cf_prior import liked_interactions
from persona_pipeline.encoder.training_data import TrainingData

CONFIG = EncodersConfig(persona_weight=1.0)
X, Y = [1.0, 0.0], [0.0, 1.0]


def data() -> TrainingData:
    """A strap with two personas, one of which says the opposite of its profile, and a tuner with one."""
    pairs = pa.table(
        {
            "item_id": ["strap", "tuner", "strap"],
            "persona_id": ["s2", "t1", "s1"],
            "masked_persona_ids": pa.array([["s1"], [], []], pa.list_(pa.string())),
        }
    )
    texts = np.array([X, Y, Y], np.float32)
    profiles = np.array([X, X, Y], np.float32)
    personas = pa.table({"persona_id": ["s1", "s2", "t1"], "item_id": ["strap", "strap", "tuner"]})
    interactions = pa.table({"user_id": ["ana"], "review_id": ["r"], "item_id": ["strap"]})
    return TrainingData(pairs, personas, texts, profiles, interactions, np.array([X], np.float32), {"strap": 2})


def test_an_items_personas_become_their_mean() -> None:
    changed, config = mean_persona(data(), CONFIG)
    assert config is CONFIG
    assert changed.personas.to_pylist() == [
        {"persona_id": "s1", "item_id": "strap"},
        {"persona_id": "t1", "item_id": "tuner"},
    ]
    # The strap's inputs are (1, 0) and (1, 1) / sqrt 2: their mean lies half-way, at 22.5 degrees.
    np.testing.assert_allclose(changed.persona_profiles[0], [np.cos(np.pi / 8), np.sin(np.pi / 8)], atol=1e-6)
    np.testing.assert_allclose(changed.persona_profiles[1], Y, atol=1e-6)
    assert not changed.persona_texts.any()
    assert changed.pairs["persona_id"].to_pylist() == ["s1", "t1", "s1"]
    assert changed.pairs["masked_persona_ids"].to_pylist() == [[], [], []]


def test_vectors_by_item_are_zero_where_there_is_no_persona() -> None:
    catalogue = np.array(["picks", "strap", "tuner"])
    np.testing.assert_array_equal(item_texts(data(), catalogue), [[0, 0], [1, 1], [0, 1]])
    np.testing.assert_array_equal(item_profiles(data(), catalogue), [[0, 0], [2, 0], [0, 1]])


def test_settings_are_checked() -> None:
    changed, config = settings(half_life=5.0)(data(), CONFIG)
    assert config == CONFIG.model_copy(update={"half_life": 5.0})
    assert changed.pairs.num_rows == 3
    with pytest.raises(ValueError, match="half_life"):
        settings(half_life=-1.0)(data(), CONFIG)


def test_a_night_that_trained_its_base_is_known_by_it(tmp_path: Path) -> None:
    """Unless what nothing was trained for is asked; a night without an encoder of its own has the untrained base anyway."""
    warehouse, config = build(tmp_path / "warehouse"), load_config()
    met = liked_interactions(warehouse, 0.0)
    untrained = Embedder(config.text_embeddings, warehouse).base_model
    assert KnownData.of(warehouse, config, met).base_model == untrained
    tuned = f"{untrained}+0123456789abcdef-0123456789abcdef"
    rows = warehouse.read("text_embeddings").to_pylist()
    theirs = [{**row, "base_model": row["base_model"].replace(untrained, tuned)} for row in rows]
    put(warehouse, "text_embeddings", [*rows, *theirs])
    other = {**shop()["encoders"][0], "base_model": "bge-m3@1:512", "as_of": date(2024, 7, 9)}
    put(warehouse, "encoders", [other, {**shop()["encoders"][0], "encoder_id": "enc2", "base_model": tuned}])
    assert KnownData.of(warehouse, config, met).base_model == tuned
    assert KnownData.of(warehouse, config, met, tuned=False).base_model == untrained
