"""When a new encoder is trained, what its id depends on, and the data it is given."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import AS_OF, BASE_MODEL, put_all, shop, toward

from persona_pipeline.config import PipelineConfig, load_config
from persona_pipeline.encoder.inputs import liked_interaction_texts, persona_texts
from persona_pipeline.encoder.retraining import (
    TRAINED_ON,
    Served,
    encoder_id,
    reason_to_train,
    settings_digest,
    training_data,
)
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.errors import PipelineError
from persona_pipeline.text_embeddings import text_hash
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
    elsewhere = load_config("local", {"user_item_topk": {"k": 5}, "spark": {"master": "yarn"}})
    assert reason(served(), tomorrow, elsewhere) is None


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

    def watched(self: Warehouse, table: str) -> Any:
        read.add(table)
        return dataset(self, table)

    monkeypatch.setattr(Warehouse, "dataset", watched)
    training_data(warehouse, BASE_MODEL, 4.0)
    assert read - {"text_embeddings"} <= set(TRAINED_ON)  # embeddings are addressed by their text


def _fill(warehouse: Warehouse, leave_out: int = 0) -> None:
    tables = shop()
    put_all(warehouse, {table: rows for table, rows in tables.items() if table != "text_embeddings"})
    rendered = (persona_texts(warehouse), liked_interaction_texts(warehouse, 4.0))
    texts = {text for table in rendered for text in table["text"].to_pylist()}
    rows = [
        {"text_hash": text_hash(t), "base_model": BASE_MODEL, "vector": toward(t)[0].tolist()} for t in sorted(texts)
    ]
    put_all(warehouse, {"text_embeddings": rows[leave_out:]})


def test_training_data_comes_from_the_tables(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    _fill(warehouse)
    data = training_data(warehouse, BASE_MODEL, 4.0)
    assert data.persona_ids.tolist() == sorted(row["persona_id"] for row in shop()["item_personas"])
    assert data.persona_items.tolist() == [persona.split("-")[0] for persona in data.persona_ids]
    assert set(data.interactions) == {row["review_id"] for row in shop()["reviews"] if row["rating"] >= 4}
    text = dict(
        zip(*(liked_interaction_texts(warehouse, 4.0)[c].to_pylist() for c in ("review_id", "text")), strict=True)
    )
    np.testing.assert_array_equal(data.interactions["ana-tuner"], toward(text["ana-tuner"])[0])
    assert data.liked_counts == {
        "capo": 2,
        "picks": 1,
        "strap": 2,
        "strings": 2,
        "tuner": 2,
    }  # ben's two stars do not count


def test_a_missing_embedding_names_the_task_to_run(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    _fill(warehouse, leave_out=1)
    with pytest.raises(PipelineError, match=f"1 texts have no embedding by {BASE_MODEL}; run the text_embeddings task"):
        training_data(warehouse, BASE_MODEL, 4.0)
