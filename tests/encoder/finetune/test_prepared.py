"""The prepared folder: from the shop's tables to examples, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from embedded import REVIEWS_ALONE
from helpers import BASE_MODEL, put_all, shop, toward
from tiny_base import small_warehouse

from persona_pipeline.config import load_config
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.encoder.finetune.batches import make_batch
from persona_pipeline.encoder.finetune.examples import Examples
from persona_pipeline.encoder.finetune.objective import represented
from persona_pipeline.encoder.finetune.prepared import load, prepare
from persona_pipeline.encoder.head import Head
from persona_pipeline.encoder.item_embeddings import persona_inputs
from persona_pipeline.encoder.text_inputs import content_texts, persona_texts
from persona_pipeline.encoder.training_data import training_data
from persona_pipeline.encoder.training_examples import ItemSlots, TrainingExamples
from persona_pipeline.warehouse import Warehouse

CONFIG = load_config("local", {"training_pairs": {"min_liked_rating": 4.0}, "encoders": {"half_life": 5.0}})
CAPO, PICKS, STRAP, STRINGS, TUNER = range(5)


def prepared(tmp_path: Path, found: Warehouse | None = None) -> tuple[Examples, dict[str, object]]:
    prepare(found or small_warehouse(tmp_path), tmp_path / "data", BASE_MODEL, CONFIG)
    return load(tmp_path / "data")


def test_examples_are_the_tables(tmp_path: Path) -> None:
    examples, about = prepared(tmp_path)
    persona = {row["persona_id"]: row["text"] for row in persona_texts(Warehouse(tmp_path / "warehouse")).to_pylist()}
    assert examples.targets.tolist() == [TUNER, CAPO, STRAP]  # ana's, ben's, dan's
    places, lengths = examples.histories.places(np.arange(3))
    assert examples.histories.values[places].tolist() == [STRINGS, STRAP, STRAP, STRINGS, PICKS]
    assert lengths.tolist() == [2, 1, 2]
    # ana's tuner stood between the two; dan's strap came after both: 1 and 0.5 ** (1 / 5).
    assert np.allclose(examples.weights, [0.5, 0.5, 1, 0.534602, 0.465398])
    said = [row["text"] for row in shop()["reviews"] if row["item_id"] == "picks"]
    assert [
        examples.texts[text] for text in examples.evidence.values[examples.evidence.places(np.array([PICKS]))[0]]
    ] == said
    assert [examples.texts[text] for text in examples.own[:2]] == [
        row["text"] for row in shop()["reviews"] if row["review_id"] in ("ana-tuner", "ben-capo")
    ]
    of_strap = examples.slots[STRAP][examples.filled[STRAP]]
    assert [examples.texts[text] for text in examples.persona_texts[of_strap]] == [
        persona["strap-1"],
        persona["strap-2"],
    ]
    assert np.allclose(examples.persona_vectors[of_strap], toward(persona["strap-1"], persona["strap-2"]))
    assert examples.labels[2] == of_strap[0]
    assert examples.visible.tolist() == [[True, False], [True, False], [True, False]]
    assert examples.filled[STRAP].all()
    liked, counts = examples.known.places(examples.users)
    assert counts.tolist() == [3, 2, 3]  # ben's two stars for the picks are no liking; dan's strap comes from the pair
    assert examples.known.values[liked].tolist() == [STRAP, STRINGS, TUNER, CAPO, STRAP, PICKS, STRAP, STRINGS]
    assert len(set(examples.texts)) == len(examples.texts)
    assert about["near_duplicates_by"] == BASE_MODEL
    assert (about["max_tokens"], examples.persona_weight, examples.aggregation) == (256, 0.1, "softmax")
    assert (tmp_path / "data" / "pairs.parquet").is_file()


@pytest.mark.parametrize("recency", ["rank", "days"])
def test_with_all_evidence_users_and_personas_are_those_the_head_is_given(tmp_path: Path, recency: str) -> None:
    """Invariant 9, from the tables to the vectors: same base, same users, same personas as the head sees with the identity."""
    found = small_warehouse(tmp_path)
    config = CONFIG.model_copy(update={"encoders": CONFIG.encoders.model_copy(update={"recency": recency})})
    data = training_data(found, BASE_MODEL, 4.0, REVIEWS_ALONE)
    inputs = persona_inputs(data.persona_profiles, data.persona_texts, config.encoders.persona_weight)
    ids, items = (np.array(data.personas[name].to_pylist()) for name in ("persona_id", "item_id"))
    catalogue = ItemSlots.build(ids, items, inputs)
    pairs = data.pairs.sort_by([("user_id", "ascending"), ("item_id", "ascending")])
    built = TrainingExamples.build(pairs, catalogue, data.interactions, data.interaction_profiles, config.encoders)
    head = Head(inputs.shape[1], 0.1)

    prepare(found, tmp_path / "data", BASE_MODEL, config)
    examples, _ = load(tmp_path / "data")
    rows = np.arange(len(examples))
    unknown = replace(examples, own=np.full(len(examples), -1))
    for given, same in (
        (unknown, True),
        (examples, False),
    ):  # what the user wrote of the target is in the head's profile
        texts, batch = make_batch(given, rows, 0.95, 100, np.random.default_rng(0))
        vectors = torch.from_numpy(toward(*(examples.texts[text] for text in texts)))
        users, personas = represented(vectors, batch, examples.persona_weight)
        targets = np.unique(built.targets.numpy())
        theirs = head.personas(catalogue.embeddings[catalogue.slots[targets]])[catalogue.filled[targets]]
        assert torch.allclose(users, head.users(built.profiles), atol=1e-6) is True
        assert torch.allclose(personas[batch.filled], theirs, atol=1e-6) is same
        assert torch.equal(batch.visible, built.visible)


def test_what_has_no_profile_leaves_histories_as_for_the_head(tmp_path: Path) -> None:
    """The strings have lost evidence and persona: histories go on without them."""
    found, tables = small_warehouse(tmp_path), shop()
    for row in tables["item_reviews"]:
        if row["item_id"] == "strings":
            row["evidence"] = []
    put_all(found, {"item_reviews": tables["item_reviews"], "item_personas": tables["item_personas"][:5]})
    examples, _ = prepared(tmp_path, found)
    assert len(examples) == training_data(found, BASE_MODEL, 4.0, REVIEWS_ALONE).pairs.num_rows == 3


def test_an_item_nobody_wrote_of_is_what_its_content_says(tmp_path: Path) -> None:
    found, tables = small_warehouse(tmp_path), shop()
    for row in tables["item_reviews"]:
        if row["item_id"] == "strap":
            row["evidence"] = []
    put_all(found, {"item_reviews": tables["item_reviews"]})
    examples, _ = prepared(tmp_path, found)
    places, lengths = examples.evidence.places(np.array([STRAP]))
    told = content_texts(found)
    expected = {row["text"] for row in told.to_pylist() if row["item_id"] == "strap"}
    assert expected == {"Music", "Padded guitar strap"}
    assert (set(lengths), {examples.texts[text] for text in examples.evidence.values[places]}) == ({2}, expected)


def test_the_folder_is_made_once_and_says_what_of(tmp_path: Path) -> None:
    found = small_warehouse(tmp_path)
    for base_model in (BASE_MODEL, "another, which has no vectors"):
        prepare(found, tmp_path / "data", base_model, CONFIG)
    about = json.loads((tmp_path / "data" / "about.json").read_text())
    assert about["data_versions"]["training_pairs"] == 0
    assert sorted(about["sha256"]) == ["items", "known_positives", "pairs", "personas", "texts"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert pq.read_schema(tmp_path / "data" / "personas.parquet").names == ["persona_id", "item_id", "vector", "text"]


def test_what_it_refuses(tmp_path: Path) -> None:
    found = small_warehouse(tmp_path)
    with pytest.raises(PipelineError, match="6 texts have no embedding by bge"):
        prepare(found, tmp_path / "data", "bge", CONFIG)
    put_all(found, {"training_pairs": []})
    with pytest.raises(PipelineError, match="training_pairs is empty"):
        prepare(found, tmp_path / "data", BASE_MODEL, CONFIG)
    with pytest.raises(PipelineError, match=r"data is no prepared folder: it has no about\.json"):
        load(tmp_path / "data")
