"""Settings compared where the better ones are known, and what the lists of both sides leave out."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from drifting import ENDLESS, RECENT, USERS
from helpers import arrow

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig, TextEmbeddingsConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.cf_prior import liked_interactions
from persona_pipeline.encoder.head import Head
from persona_pipeline.encoder.training_data import TrainingData, training_data
from persona_pipeline.encoder.training_examples import ItemSlots
from persona_pipeline.model_selection import challenger, score_fusion
from persona_pipeline.model_selection.challenger import compare_settings
from persona_pipeline.model_selection.next_item import LikedHistories, head_scores
from persona_pipeline.warehouse import Warehouse


@pytest.fixture(scope="module")
def inputs(shop: Warehouse) -> tuple[TrainingData, Interactions]:
    base_model = Embedder(TextEmbeddingsConfig(), shop).base_model
    return training_data(shop, base_model, 4.0, EncodersConfig()), liked_interactions(shop, 4.0)


def test_better_settings_pass_and_worse_ones_do_not(inputs: tuple[TrainingData, Interactions]) -> None:
    recent, endless = EncodersConfig(**RECENT), EncodersConfig(**ENDLESS)
    better = compare_settings(*inputs, endless, recent, margin=0.005)
    assert better.users == USERS
    assert better.verdict.promoted
    assert better.verdict.low > 0
    worse = compare_settings(*inputs, recent, endless, margin=0.005)
    assert not worse.verdict.promoted
    assert (worse.served, worse.candidate) == (better.candidate, better.served)
    assert worse.verdict.difference == pytest.approx(worse.candidate - worse.served)
    assert "is not above -0.0050" in worse.verdict.reasons[0]


def test_popularity_and_the_prior_are_part_of_what_is_compared(inputs: tuple[TrainingData, Interactions]) -> None:
    plain = EncodersConfig(**RECENT)
    for change in ({"popularity_weight": 5.0}, {"prior": "prox_knn", "prior_weight": 5.0}):
        found = compare_settings(*inputs, plain, plain.model_copy(update=change), margin=0.0)
        assert found.verdict.difference != 0


def test_lists_do_not_depend_on_how_many_users_are_scored_at_once(
    inputs: tuple[TrainingData, Interactions], monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = EncodersConfig(**ENDLESS), EncodersConfig(**RECENT, prior="ease", prior_weight=0.5)
    whole = compare_settings(*inputs, *sides, margin=0.0)
    monkeypatch.setattr(score_fusion, "_AT_ONCE", 7 * 60)
    parts = compare_settings(*inputs, *sides, margin=0.0)
    assert parts.served == pytest.approx(whole.served, abs=1e-9)
    assert parts.candidate == pytest.approx(whole.candidate, abs=1e-9)


def test_a_sample_of_users_is_always_the_same(
    inputs: tuple[TrainingData, Interactions], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(challenger, "MOST_USERS", 50)
    sides = EncodersConfig(**ENDLESS), EncodersConfig(**RECENT)
    found = compare_settings(*inputs, *sides, margin=0.0)
    assert found.users == 50
    assert found == compare_settings(*inputs, *sides, margin=0.0)


def test_with_nobody_to_ask_nothing_passes() -> None:
    none = np.zeros((0, 2), np.float32)
    met = pa.table({"user_id": ["ana"], "interaction_id": ["r"], "item_id": ["tuner"], "weight": [1.0], "day": [1.0]})
    personas = pa.table({"persona_id": ["tuner-1"], "item_id": ["tuner"]})
    data = TrainingData(
        arrow("training_pairs", []), personas, none, none, met, np.ones((1, 2), np.float32), {"tuner": 1}
    )
    found = compare_settings(
        data, Interactions.build(["ana"], ["tuner"], [1]), EncodersConfig(), EncodersConfig(steps=5), margin=1.0
    )
    assert not found.verdict.promoted
    assert found.verdict.reasons == ["no user to compare the encoders on"]


def test_a_persona_that_rests_on_the_held_out_review_is_hidden_from_its_user_alone() -> None:
    """Both like what `near` says; of it, the first may only see `far`."""
    catalogue = ItemSlots.build(
        np.array(["tuner-near", "tuner-far", "strap-far"]),
        np.array(["tuner", "tuner", "strap"]),
        np.array([[1, 0], [0, 1], [0, 1]], np.float32),
    )
    histories = LikedHistories(
        np.array(["capo"] * 2), np.zeros(2), np.ones(2), np.arange(2), np.arange(2), np.ones(2, int)
    )
    profiles = np.array([[1, 0], [1, 0]], np.float32)
    config = EncodersConfig(aggregation="max", temperature=1.0)
    assert catalogue.persona_ids.tolist() == ["strap-far", "tuner-far", "tuner-near"]
    hidden = np.array([0]), np.array([2])
    scores = head_scores(Head(2, config.temperature), catalogue, profiles, histories, config, hidden)
    np.testing.assert_allclose(scores, [[0, 0], [0, 1]])
    assert torch.is_grad_enabled()
