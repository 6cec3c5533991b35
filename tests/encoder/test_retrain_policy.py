"""When a new encoder is trained, what its id depends on, and the data it is given."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from embedded import REVIEWS_ALONE, embed, shop_profile
from helpers import AS_OF, BASE_MODEL, Row, put_all, shop, toward

from persona_pipeline.config import PipelineConfig, load_config
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.cache import text_hash
from persona_pipeline.encoder.retrain_policy import TRAINED_ON, Served, encoder_id, reason_to_train, settings_digest
from persona_pipeline.encoder.text_inputs import persona_texts
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.encoder.training_data import training_data
from persona_pipeline.warehouse import Warehouse

CONFIG = PipelineConfig()


def served(**changes: Any) -> Served:
    values: dict[str, Any] = {
        "encoder_id": "enc1",
        "as_of": date(2024, 6, 30),
        "base_model": BASE_MODEL,
        "text_version": TEXT_VERSION,
        "config_digest": settings_digest(CONFIG),
    }
    return Served(**(values | changes))


def reason(found: Served | None, as_of: date, config: PipelineConfig = CONFIG) -> str | None:
    return reason_to_train(found, as_of, BASE_MODEL, config)


def test_the_first_night_trains() -> None:
    assert reason(None, AS_OF) == "there is no encoder yet"


@pytest.mark.parametrize(("day", "train"), [(1, False), (6, False), (7, True), (20, True)])
def test_an_encoder_serves_for_a_week(day: int, train: bool) -> None:
    found = reason(served(), date(2024, 7, day))
    assert found == (f"the served encoder is {day} days old, 7 are allowed" if train else None)


def test_reasons_name_what_changed() -> None:
    tomorrow = date(2024, 7, 1)
    assert (
        reason(served(base_model="bge-m3@1:512"), tomorrow)
        == f"the base model changed from bge-m3@1:512 to {BASE_MODEL}"
    )
    assert reason(served(text_version="0"), tomorrow) == f"the text version changed from 0 to {TEXT_VERSION}"
    for other in ({"encoders": {"seed": 1}}, {"training_pairs": {"min_liked_rating": 5.0}}):
        assert (
            reason(served(), tomorrow, load_config("local", other))
            == "the settings of encoders or training_pairs changed"
        )
    policy = load_config("local", {"encoders": {"gate_margin": 0.1, "retrain_every_days": 30, "prior_engine": "spark"}})
    assert reason(served(), tomorrow, policy) is None
    elsewhere = load_config("local", {"user_item_topk": {"k": 5}, "spark": {"master": "yarn"}})
    assert reason(served(), tomorrow, elsewhere) is None


def test_a_tuned_base_is_held_against_what_it_was_trained_from() -> None:
    tomorrow, name = date(2024, 7, 1), "+0123456789abcdef-0123456789abcdef"
    assert reason(served(base_model=BASE_MODEL + name), tomorrow) is None
    assert (
        reason(served(base_model="bge-m3@1:512" + name), tomorrow)
        == f"the base model changed from bge-m3@1:512 to {BASE_MODEL}"
    )


def test_settings_of_a_fine_tune_count_where_there_is_one() -> None:
    def digest(**encoders: Any) -> str:
        return settings_digest(load_config("local", {"encoders": encoders}))

    assert digest(finetune={"steps": 5}) == digest()
    full = digest(method="full")
    assert len({digest(), full, digest(method="full", finetune={"steps": 5})}) == 3
    how = {"processes": 2, "micro_batch_tokens": 9, "checkpoint_every": 1}  # the work is done, not what comes of it
    assert digest(method="full", finetune=how) == full


def test_the_id_changes_with_each_ingredient() -> None:
    versions = dict.fromkeys(TRAINED_ON, 3)
    ids = [
        encoder_id(AS_OF, BASE_MODEL, CONFIG, versions),
        encoder_id(date(2024, 7, 1), BASE_MODEL, CONFIG, versions),
        encoder_id(AS_OF, "bge-m3@1:512", CONFIG, versions),
        encoder_id(AS_OF, BASE_MODEL, load_config("local", {"encoders": {"steps": 5}}), versions),
        *(encoder_id(AS_OF, BASE_MODEL, CONFIG, {**versions, table: 4}) for table in TRAINED_ON),
    ]
    assert len(set(ids)) == len(ids)
    assert encoder_id(AS_OF, BASE_MODEL, CONFIG, dict(reversed(versions.items()))) == ids[0]


def test_the_id_covers_every_table_the_training_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    _fill(warehouse)
    read: set[str] = set()
    dataset = Warehouse.dataset

    def watched(self: Warehouse, table: str, version: int | None = None) -> Any:
        read.add(table)
        return dataset(self, table, version)

    monkeypatch.setattr(Warehouse, "dataset", watched)
    training_data(warehouse, BASE_MODEL, 4.0, REVIEWS_ALONE)
    assert read - {"text_embeddings"} <= set(TRAINED_ON)  # embeddings are addressed by their text


def _fill(warehouse: Warehouse, **changed: list[Row]) -> None:
    put_all(warehouse, {table: rows for table, rows in shop().items() if table != "text_embeddings"} | changed)
    embed(warehouse)


def test_training_data_comes_from_the_tables(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    _fill(warehouse)
    data = training_data(warehouse, BASE_MODEL, 4.0, REVIEWS_ALONE)
    assert data.personas["persona_id"].to_pylist() == sorted(row["persona_id"] for row in shop()["item_personas"])
    texts = {row["persona_id"]: row["text"] for row in persona_texts(warehouse).to_pylist()}
    for row, own, shared in zip(data.personas.to_pylist(), data.persona_texts, data.persona_profiles, strict=True):
        assert row["item_id"] == row["persona_id"].split("-")[0]
        np.testing.assert_array_equal(own, toward(texts[row["persona_id"]])[0])
        np.testing.assert_allclose(shared, shop_profile(row["item_id"]), atol=1e-6)
    assert {row["interaction_id"] for row in data.interactions.to_pylist()} == {
        row["review_id"] for row in shop()["reviews"] if row["rating"] >= 4
    }
    newest_first = [row["item_id"] for row in data.interactions.to_pylist() if row["user_id"] == "ana"]
    assert newest_first == ["strings", "tuner", "strap"]
    for row, profile in zip(data.interactions.to_pylist(), data.interaction_profiles, strict=True):
        np.testing.assert_allclose(profile, shop_profile(row["item_id"]), atol=1e-6)
    # ben's two stars do not count
    assert data.liked_counts == {"capo": 2, "picks": 1, "strap": 2, "strings": 2, "tuner": 2}
    assert data.pairs.num_rows == 2


def test_by_default_only_what_was_disliked_is_left_out() -> None:
    assert CONFIG.training_pairs.min_liked_rating == 2.0


def test_what_has_no_profile_is_no_part_of_a_history(tmp_path: Path) -> None:
    """The strings have lost evidence and persona, so ana's history goes on without them."""
    silent = {"item_reviews": shop()["item_reviews"], "item_personas": shop()["item_personas"][:5]}
    for row in silent["item_reviews"]:
        if row["item_id"] == "strings":
            row["evidence"] = []
    warehouse = Warehouse(tmp_path)
    _fill(warehouse, **silent)
    data = training_data(warehouse, BASE_MODEL, 4.0, REVIEWS_ALONE)
    histories = zip(data.pairs["user_id"].to_pylist(), data.pairs["history_interaction_ids"].to_pylist(), strict=True)
    assert dict(histories) == {"ana": ["ana-strap"], "ben": ["ben-strap"]}
    assert "strings" not in data.interactions["item_id"].to_pylist()


def test_a_missing_embedding_names_the_task_to_run(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    _fill(warehouse)
    lost = text_hash(persona_texts(warehouse)["text"][0].as_py())
    rows = warehouse.read("text_embeddings")
    warehouse.replace("text_embeddings", rows.filter(pc.not_equal(rows["text_hash"], lost)))
    with pytest.raises(PipelineError, match=f"1 texts have no embedding by {BASE_MODEL}; run the text_embeddings task"):
        training_data(warehouse, BASE_MODEL, 4.0, REVIEWS_ALONE)
