"""The prepared folder: from the shop's tables to examples, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import BASE_MODEL, put_all, toward
from tiny_base import small_warehouse

from persona_pipeline.encoder.finetune.examples import Examples
from persona_pipeline.encoder.finetune.prepared import load, prepare
from persona_pipeline.encoder.inputs import liked_interaction_texts, persona_texts
from persona_pipeline.encoder.recency import recency_weights
from persona_pipeline.errors import PipelineError
from persona_pipeline.warehouse import Warehouse


def prepared(tmp_path: Path, history: int = 10) -> tuple[Examples, dict[str, object]]:
    prepare(small_warehouse(tmp_path), tmp_path / "data", BASE_MODEL, 4.0, 5.0, history)
    return load(tmp_path / "data")


def test_examples_are_the_tables(tmp_path: Path) -> None:
    examples, about = prepared(tmp_path)
    shop_texts = {
        row["review_id"]: row["text"]
        for row in liked_interaction_texts(Warehouse(tmp_path / "warehouse"), 4.0).to_pylist()
    }
    persona = {row["persona_id"]: row["text"] for row in persona_texts(Warehouse(tmp_path / "warehouse")).to_pylist()}
    capo, picks, strap, strings, tuner = range(5)
    assert examples.targets.tolist() == [tuner, capo, strap]  # ana's, ben's, dan's
    places, lengths = examples.histories.places(np.arange(3))
    assert [examples.texts[text] for text in examples.histories.values[places]] == [
        shop_texts[review] for review in ("ana-strings", "ana-strap", "ben-strap", "dan-strings", "dan-picks")
    ]
    assert lengths.tolist() == [2, 1, 2]
    # ana's tuner stood between the two; dan's strap came after both.
    assert np.allclose(examples.weights, [0.5, 0.5, 1, *recency_weights(2, 5.0)])
    of_strap = examples.slots[strap][examples.filled[strap]]
    assert [examples.texts[text] for text in examples.persona_texts[of_strap]] == [
        persona["strap-1"],
        persona["strap-2"],
    ]
    assert np.allclose(examples.persona_vectors[of_strap], toward(persona["strap-1"], persona["strap-2"]))
    assert examples.labels[2] == of_strap[0]
    assert examples.visible.tolist() == [[True, False], [True, False], [True, False]]
    assert examples.filled[strap].all()
    liked, counts = examples.known.places(examples.users)
    assert counts.tolist() == [3, 2, 3]  # ben's two stars for the picks are no liking; dan's strap comes from the pair
    assert examples.known.values[liked].tolist() == [strap, strings, tuner, capo, strap, picks, strap, strings]
    assert len(set(examples.texts)) == len(examples.texts)
    assert about["near_duplicates_by"] == BASE_MODEL
    assert (tmp_path / "data" / "pairs.parquet").is_file()


def test_only_the_newest_of_a_history(tmp_path: Path) -> None:
    examples, _ = prepared(tmp_path, history=1)
    assert np.diff(examples.histories.starts).tolist() == [1, 1, 1]
    assert examples.weights.tolist() == [1, 1, 1]


def test_the_folder_is_made_once_and_says_what_of(tmp_path: Path) -> None:
    found = small_warehouse(tmp_path)
    for base_model in (BASE_MODEL, "another, which has no vectors"):
        prepare(found, tmp_path / "data", base_model, 4.0, 5.0, 10)
    about = json.loads((tmp_path / "data" / "about.json").read_text())
    assert about["data_versions"]["training_pairs"] == 0
    assert sorted(about["sha256"]) == ["known_positives", "pairs", "personas", "texts"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert pq.read_schema(tmp_path / "data" / "personas.parquet").names == ["persona_id", "item_id", "vector", "text"]


def test_what_it_refuses(tmp_path: Path) -> None:
    found = small_warehouse(tmp_path)
    with pytest.raises(PipelineError, match="6 texts have no embedding by bge"):
        prepare(found, tmp_path / "data", "bge", 4.0, 5.0, 10)
    put_all(found, {"training_pairs": []})
    with pytest.raises(PipelineError, match="training_pairs is empty"):
        prepare(found, tmp_path / "data", BASE_MODEL, 4.0, 5.0, 10)
    with pytest.raises(PipelineError, match=r"data is no prepared folder: it has no about\.json"):
        load(tmp_path / "data")
