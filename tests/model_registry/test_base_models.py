"""Which base embeds a night's texts: ordered, served, or configured, from rows of `encoders` alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from drifting import FIRST, publish
from helpers import Row, arrow, shop

from persona_pipeline.config import TextEmbeddingsConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.embeddings.model_names import BASES, tuned_model
from persona_pipeline.model_registry.base_models import embedder_of_incumbent, embedder_of_run
from persona_pipeline.model_registry.incumbent import Incumbent
from persona_pipeline.model_registry.overrides import Override
from persona_pipeline.publish.releases import parent_of
from persona_pipeline.warehouse import Warehouse

CONFIG = TextEmbeddingsConfig()
OTHER = CONFIG.model_copy(update={"max_tokens": 64})


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def tuned(warehouse: Warehouse, config: TextEmbeddingsConfig) -> str:
    folder = warehouse.root / BASES / "0123456789abcdef"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "modules.json").write_text("[]")
    return tuned_model(Embedder(config, warehouse).base_model, folder)


def standing(base_model: str, chosen: bool = False) -> Incumbent:
    row: Row = {"encoder_id": "enc1", "base_model": base_model}
    given = Override(
        override="pin", encoder_id="enc1", after=FIRST, given_at=datetime(2024, 6, 2, tzinfo=UTC), by="ana", reason=None
    )
    return Incumbent(row, given if chosen else None, FIRST)


def base_of(warehouse: Warehouse, incumbent: Incumbent) -> str:
    return embedder_of_incumbent(warehouse, incumbent, CONFIG).base_model


def test_without_an_encoder_it_is_the_one_configured(warehouse: Warehouse) -> None:
    configured = Embedder(CONFIG, warehouse).base_model
    assert base_of(warehouse, Incumbent(None, None, None)) == configured
    assert embedder_of_run(warehouse, (), FIRST, None, CONFIG).base_model == configured


def test_a_served_base_trained_from_the_one_configured_embeds(warehouse: Warehouse) -> None:
    configured = Embedder(CONFIG, warehouse).base_model
    mine, theirs = tuned(warehouse, CONFIG), tuned(warehouse, OTHER)
    assert base_of(warehouse, standing(configured)) == configured
    assert base_of(warehouse, standing(mine)) == mine
    # The configuration names another base: tonight trains over it, unless people want the old one.
    assert base_of(warehouse, standing(theirs)) == configured
    assert base_of(warehouse, standing(theirs, chosen=True)) == theirs
    untrained = Embedder(OTHER, warehouse).base_model
    assert base_of(warehouse, standing(untrained)) == configured
    assert base_of(warehouse, standing(untrained, chosen=True)) == untrained


def test_the_night_goes_by_its_parent(warehouse: Warehouse) -> None:
    mine = tuned(warehouse, CONFIG)
    warehouse.replace("encoders", arrow("encoders", [{**shop()["encoders"][0], "base_model": mine}]))
    publish(warehouse, FIRST, "enc1")
    tomorrow = FIRST + timedelta(days=1)
    found = embedder_of_run(warehouse, (), tomorrow, parent_of(warehouse, tomorrow), CONFIG)
    assert found.base_model == mine
    assert embedder_of_run(warehouse, (), FIRST, parent_of(warehouse, FIRST), CONFIG).base_model != mine  # a rerun


def test_a_base_that_is_gone_is_named_with_its_encoder(warehouse: Warehouse) -> None:
    mine = tuned(warehouse, CONFIG)
    (warehouse.root / BASES / "0123456789abcdef").rename(warehouse.root / "elsewhere")
    with pytest.raises(
        PipelineError, match=r"encoder enc1, from which the night starts: the base model .* is gone: there"
    ):
        base_of(warehouse, standing(mine))
