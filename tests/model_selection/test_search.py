"""Settings chosen on what users liked last, in worlds where it can be reached in one way only."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from worlds import training_world

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.item_embeddings import ItemFields
from persona_pipeline.encoder.training_data import TrainingData
from persona_pipeline.model_selection import search, search_stages
from persona_pipeline.model_selection.search import search_settings
from persona_pipeline.model_selection.search_result import ChosenSettings

World = tuple[TrainingData, Interactions]
MIXTURE = ("popularity_weight", "prior", "prior_weight")
QUICK: dict[str, Any] = {"batch_size": 64, "learning_rate": 1e-2, "steps": 5, "heads": 1}


@pytest.fixture(autouse=True)
def few_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MIN_USERS", 20)


def mixture(**others: Any) -> EncodersConfig:
    """Only popularity and prior are left to the night."""
    return EncodersConfig.model_validate({**QUICK, "tuned": MIXTURE, **others})


def co_occurrence_world() -> World:
    """Six items of each of two colours, whose texts are all the same: who met five of a colour likes the sixth."""
    items = [f"{colour}{n}" for colour in "ab" for n in range(6)]
    met = {}
    for user in range(40):
        mine = items[:6] if user % 2 else items[6:]
        turned = mine[user // 2 % 6 :] + mine[: user // 2 % 6]
        met[f"u{user:02}"] = turned
    return training_world(met, dict.fromkeys(items, np.eye(4)[0]))


def text_world() -> World:
    """Two topics. What a user liked last nobody else met: only its text says whom it is for."""
    rng = np.random.default_rng(4)
    old = {f"old-{n:02}": n % 2 for n in range(16)}
    new = {f"new-{n:02}": n % 2 for n in range(40)}
    vectors = {item: np.eye(8)[t] + 0.1 * rng.standard_normal(8) for item, t in (old | new).items()}
    profiles = {item: vector / np.linalg.norm(vector) for item, vector in vectors.items()}
    met = {}
    for n in range(40):
        mine = [item for item, topic in old.items() if topic == n % 2]
        met[f"u{n:02}"] = [f"new-{n:02}", *rng.permutation(mine)[:4].tolist()]
    return training_world(met, profiles)


def test_what_can_only_be_reached_by_co_occurrence_gets_a_prior() -> None:
    found = search_settings(*co_occurrence_world(), mixture())
    assert found.config.prior != "none"
    assert found.config.prior_weight > 0
    assert found.reached > 0.9 > found.start
    assert found.reasons()[0].startswith("tuned: 1 setting tried on the last liked interaction of 40 users")
    assert "prior none to" in found.reasons()[1]


def test_what_can_only_be_reached_by_its_text_does_without() -> None:
    found = search_settings(*text_world(), mixture(popularity_weight=0.0))
    assert (found.config.prior, found.config.prior_weight) == ("none", 0.0)


def test_too_few_users_leave_everything_as_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MIN_USERS", 41)
    config = mixture()
    found = search_settings(*co_occurrence_world(), config)
    assert found.config is config
    assert found.reasons() == ["too few users to tune settings on: they are as configured"]
    assert found.metrics() == {}


def test_the_same_night_chooses_the_same() -> None:
    config = EncodersConfig.model_validate({**QUICK, "tuned": (*MIXTURE, "half_life")})
    assert search_settings(*text_world(), config) == search_settings(*text_world(), config)


def test_what_is_set_is_left_alone() -> None:
    config = EncodersConfig.model_validate({**QUICK, "half_life": 7.0, "prior": "ease", "prior_weight": 0.0})
    config = config.model_copy(update={"popularity_weight": 1.5, "tuned": ("prior_weight",)})
    found = search_settings(*co_occurrence_world(), config)
    assert (found.config.half_life, found.config.prior, found.config.popularity_weight) == (7.0, "ease", 1.5)
    assert found.config.prior_weight > 0
    assert [set(trial.settings) for trial in found.trials] == [{"prior_weight"}]


def test_what_does_harm_is_dropped() -> None:
    """Served once, and wrong today: popularity drowns what the texts say."""
    found = search_settings(*text_world(), mixture(popularity_weight=1.5))
    assert found.config.popularity_weight < 1
    assert found.reached > found.start


def test_what_is_chosen_is_held_against_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that were each better beside their own mixture, and worse beside the one that is left."""
    worlds = co_occurrence_world()
    config = EncodersConfig.model_validate({**QUICK, "prior": "ease", "prior_weight": 8.0, "tuned": ("half_life",)})
    whole = search._Search._staged

    def worse(
        self: search._Search, stage: search_stages.SearchStage, stands: EncodersConfig, values: np.ndarray, kinds: Any
    ) -> Any:
        whole(self, stage, stands, values, kinds)
        return stands.model_copy(update={"prior_weight": 0.0}), values

    monkeypatch.setattr(search._Search, "_staged", worse)
    found = search_settings(*worlds, config)
    assert found.config is config
    assert found.reached == found.start
    assert not any(trial.taken for trial in found.trials)


def test_ease_is_left_out_where_the_shop_is_too_large_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the items people met, whether they have a persona or not."""
    asked: list[int] = []

    def seconds(items: int) -> float:
        asked.append(items)
        return 1e9

    monkeypatch.setattr(search, "ease_seconds", seconds)
    data, interactions = co_occurrence_world()
    found = search_settings(data, interactions, mixture())
    assert found.config.prior == "prox_knn"
    assert asked == [len(interactions.item_ids)]


def test_content_gets_a_weight_where_it_tells_what_reviews_do_not() -> None:
    data, interactions = text_world()
    said = np.tile(np.eye(8)[7], (len(data.personas), 1)).astype(np.float32)  # every review says the same
    item_ids = np.array(data.personas["item_id"].to_pylist())
    none = np.zeros((0, 8), np.float32)
    parts = {"said": said, "told": none, "title": data.persona_texts, "creator": none}
    fields = ItemFields(item_ids, {**parts, "categories": none, "description": none})
    config = EncodersConfig.model_validate({**QUICK, "title_weight": 0.0, "tuned": ("title_weight", "creator_weight")})
    blank = replace(data, fields=fields, persona_texts=said)
    found = search_settings(blank, interactions, config)
    assert found.config.title_weight > 0
    assert {name for trial in found.trials for name in trial.settings} == {"title_weight"}


def test_what_there_is_no_time_for_is_left_out_and_said() -> None:
    config = EncodersConfig.model_validate({**QUICK, "tuning_minutes": 0.001, "tuned": (*MIXTURE, "half_life")})
    found = search_settings(*co_occurrence_world(), config)
    assert found.left_out == len(search_stages.HALF_LIVES["rank"]) - 1
    assert "no time for 4 more (encoders.tuning_minutes)" in found.reasons()[0]
    assert found.config.half_life == config.half_life


def test_a_stage_offers_what_is_open_and_differs() -> None:
    stands = EncodersConfig(half_life=2.0)
    examples = search_stages.SearchStage(search_stages.TRAINING)
    assert examples.tried(stands)[0] == {"training_histories": "earlier", "steps": 200}
    assert {"steps": 200} in examples.tried(stands)
    assert search_stages.SearchStage([{"half_life": 1.0}]).tried(stands) == []
    assert search_stages.SearchStage([{"age_half_life_days": stands.age_half_life_days}]).tried(stands) == []
    # What is set by hand is left alone, and what goes with it is still tried.
    fixed = stands.model_copy(update={"tuned": ("training_histories",), "steps": 300})
    assert examples.tried(fixed) == [{"training_histories": "earlier"}]


def test_a_search_can_come_back_to_the_defaults() -> None:
    defaults = EncodersConfig()
    assert defaults.half_life in search_stages.HALF_LIVES[defaults.recency]
    assert defaults.age_half_life_days in search_stages.AGES
    assert defaults.persona_weight in search_stages.PERSONA_WEIGHTS
    assert {"training_histories": defaults.training_histories, "steps": defaults.steps} in search_stages.TRAINING


def test_content_is_tried_upwards_and_downwards_from_what_stands() -> None:
    title = np.ones((1, 2), np.float32)
    none = np.zeros((0, 2), np.float32)
    fields = ItemFields(
        np.array(["a"]), {"title": title, **dict.fromkeys(("creator", "categories", "description"), none)}
    )
    stands = EncodersConfig().model_copy(update={"title_weight": 2.0})
    found = [stage.tried(stands) for stage in search_stages.stages(stands, fields) if stage.until_worse]
    assert found == [[{"title_weight": 4.0}], [{"title_weight": 1.0}, {"title_weight": 0.0}]]


def test_gains_within_noise_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kinds of answers nobody could tell apart: whatever is tried, settings stay."""
    rng = np.random.default_rng(0)
    items = [f"i{n:02}" for n in range(30)]
    vectors = rng.standard_normal((30, 8))
    profiles = {item: vector / np.linalg.norm(vector) for item, vector in zip(items, vectors, strict=True)}
    met = {f"u{n:02}": rng.permutation(items)[:4].tolist() for n in range(60)}
    config = EncodersConfig.model_validate(QUICK).model_copy(update={"half_life": 2.0, "tuned": ("half_life",)})
    found = search_settings(*training_world(met, profiles), config)
    assert found.config.half_life == config.half_life
    monkeypatch.setattr(search, "CAUTION", 0.0)  # without any something moves
    monkeypatch.setattr(search, "MOVED", 1)
    assert search_settings(*training_world(met, profiles), config).config.half_life != config.half_life


def test_told_in_full() -> None:
    found = search_settings(*co_occurrence_world(), mixture())
    assert isinstance(found, ChosenSettings)
    metrics = found.metrics()
    assert metrics["tuning_users"] == 40
    assert metrics["tuning_ndcg"] == found.reached
    assert metrics["tuning_trials"] == len(found.trials) == 1
