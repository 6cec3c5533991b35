"""A night that trains: over which base, by what the gate said. The fine-tune itself is in tests/encoder/finetune."""

import shutil
from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import pytest
from drifting import ENDLESS, FIRST, RECENT
from embedded import keyed_by

from persona_pipeline.config import PipelineConfig, TextEmbeddingsConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.embed_texts import embed_everything
from persona_pipeline.model_registry import training_run
from persona_pipeline.model_registry.incumbent import incumbent_of
from persona_pipeline.model_registry.training_run import TrainedEncoder, train_encoder
from persona_pipeline.model_selection.search_stages import HALF_LIVES
from persona_pipeline.publish.releases import parent_of
from persona_pipeline.warehouse import Warehouse


class _Noise(Embedder):
    """Another base, which has read nothing: a tuned one that went wrong."""

    class _Model:
        dimensions = 8

        def encode(self, texts: list[str]) -> np.ndarray:
            vectors = np.random.default_rng(len(texts)).standard_normal((len(texts), 8)).astype(np.float32)
            unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            return unit

    _model = _Model()  # type: ignore[assignment]


def _trained(warehouse: Warehouse, margin: float) -> tuple[str, TrainedEncoder]:
    """The base that stands, and what comes of settings that would have another."""
    finetune = {"validation_share": 0.5}
    config = PipelineConfig.model_validate(
        {"encoders": {**RECENT, "method": "full", "finetune": finetune, "gate_margin": margin}}
    )
    embedder = Embedder(config.text_embeddings, warehouse)
    tomorrow = FIRST + timedelta(days=1)
    incumbent = incumbent_of(warehouse, (), tomorrow, parent_of(warehouse, tomorrow))
    return embedder.base_model, train_encoder(warehouse, config, incumbent, embedder, "why", "enc2", {"reviews": 0})


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(warehouse: Warehouse, config: PipelineConfig, versions: Mapping[str, int]) -> Embedder:
        assert (config.encoders.method, versions) == ("full", {"reviews": 0})
        return _Noise(TextEmbeddingsConfig(), warehouse, "noise@1:256")

    monkeypatch.setattr(training_run, "_configured_base", made)


@pytest.mark.usefixtures("noise")
def test_a_base_the_gate_refuses_is_left_for_the_one_that_stands(warehouse: Warehouse) -> None:
    incumbent, found = _trained(warehouse, 0.005)
    assert (found.settled.verdict, found.settled.config.method) == ("kept_settings", "head")
    assert found.encoder.base_model == incumbent
    assert found.settled.judged is not None
    assert found.settled.judged.high < 0


@pytest.mark.usefixtures("noise")
def test_a_base_the_gate_lets_through_embeds_everything_and_serves(warehouse: Warehouse) -> None:
    _, found = _trained(warehouse, 1.0)
    assert (found.settled.verdict, found.encoder.base_model) == ("promoted", "noise@1:256")
    assert found.encoder.config.method == "full"
    again = _Noise(TextEmbeddingsConfig(), warehouse, "noise@1:256")
    with keyed_by(warehouse) as keyed:
        assert embed_everything(keyed, again, 2.0, None)["embedded"] == 0


@pytest.mark.usefixtures("noise")
def test_on_a_first_night_it_is_the_one_configured(warehouse: Warehouse) -> None:
    shutil.rmtree(warehouse.path("releases"))
    _, found = _trained(warehouse, 0.005)
    assert (found.settled.verdict, found.encoder.base_model) == ("first", "noise@1:256")


def test_a_night_chooses_what_the_configuration_leaves_to_it(warehouse: Warehouse) -> None:
    """An endless half-life stands; only a short one predicts what these customers like next."""
    shutil.rmtree(warehouse.path("releases"))
    config = PipelineConfig.model_validate({"encoders": {**ENDLESS, "tuning_minutes": 1, "tuned": ["half_life"]}})
    embedder = Embedder(config.text_embeddings, warehouse)
    tomorrow = FIRST + timedelta(days=1)
    incumbent = incumbent_of(warehouse, (), tomorrow, parent_of(warehouse, tomorrow))
    found = train_encoder(warehouse, config, incumbent, embedder, "why", "enc2", {"reviews": 0})
    assert found.settled.config.half_life in HALF_LIVES["rank"]
    assert found.encoder.config.half_life == found.settled.config.half_life
    assert found.settled.reasons[0] == "why"
    assert found.settled.reasons[1].startswith("tuned: ")
    assert any("half_life 1000 to" in reason for reason in found.settled.reasons)
    assert found.metrics["tuning_ndcg"] > found.metrics["tuning_ndcg_start"]
    again = train_encoder(warehouse, config, incumbent, embedder, "why", "enc2", {"reviews": 0})
    assert again.settled == found.settled
