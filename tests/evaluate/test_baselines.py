"""Tuning on a checkerboard: the right settings are found, the budget is one for all, and the test is never looked at."""

from typing import Any

import numpy as np
import pytest
from checkerboard import ITEMS, USERS, checkerboard, missing

from persona_pipeline.collaborative.als import AlsConfig, fit_als
from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.item_item import ItemItemModel
from persona_pipeline.collaborative.model import Model, ModelConfig
from persona_pipeline.collaborative.prox_knn import ProxKnnConfig, fit_prox_knn
from persona_pipeline.evaluate.baseline_grids import COLLABORATIVE, PROX_KNN, content
from persona_pipeline.evaluate.baselines import SETTINGS, Family, tune, tune_and_rank

TEXTS = content("colours", lambda world: np.eye(2)[np.arange(ITEMS) % 2])


def last_out(world: Interactions) -> tuple[Interactions, tuple[np.ndarray, np.ndarray]]:
    last = world.recency() == 0
    return world.without(last), (world.users[last], world.items[last])


@pytest.mark.parametrize("family", [*COLLABORATIVE, TEXTS], ids=lambda family: family.name)
def test_one_budget_for_every_family(family: Family[Any]) -> None:
    assert family.settings == SETTINGS
    assert len(set(family.configs)) == len(family.configs)


@pytest.mark.parametrize("family", [f for f in COLLABORATIVE if f.name != "popularity"] + [TEXTS], ids=lambda f: f.name)
def test_tuned_families_solve_the_checkerboard(family: Family[Any]) -> None:
    test = checkerboard()
    tuning, validation = last_out(test)
    if family.name == "lightgcn":  # its grid is for thousands of interactions
        family = Family(family.name, family.fit, [family.configs[2]])
    ranked = tune_and_rank(family, tuning, validation, test, np.arange(USERS), k=7)
    assert ranked.lists.shape == (USERS, 7)
    assert ranked.lists[:, 0].tolist() == [missing(user) for user in range(USERS)]
    assert set(ranked.settings) >= {"history_half_life", "popularity_weight"}
    assert "seed" not in ranked.settings


def test_what_was_met_is_left_out_and_short_lists_are_padded() -> None:
    test = checkerboard()
    lists = tune_and_rank(PROX_KNN, *last_out(test), test, np.array([3, 5]), k=9).lists
    for user, found in zip((3, 5), lists, strict=True):
        met = set(test.items[test.users == user].tolist())
        assert met.isdisjoint(found.tolist())
        assert found.tolist()[-2:] == [-1, -1]  # 7 of 12 items are left


class Sign(ModelConfig):
    """Which way a made-up model points."""

    sign: float


def signed(world: Interactions, config: Sign) -> Model:
    return ItemItemModel(config.sign * fit_prox_knn(world, ProxKnnConfig()).similarities)


def test_the_settings_that_predict_validation_win() -> None:
    family = Family("signed", signed, [Sign(sign=-1), Sign(sign=0), Sign(sign=1)])
    found = tune(family, *last_out(checkerboard()))
    assert found.config == Sign(sign=1)
    assert found.ndcg > tune(Family("wrong", signed, [Sign(sign=-1)]), *last_out(checkerboard())).ndcg
    again = tune(Family("twice", signed, [Sign(sign=1), Sign(sign=2)]), *last_out(checkerboard()))
    assert again.config == Sign(sign=1), "the first among equals"


def test_settings_are_chosen_before_the_test_is_seen() -> None:
    world = checkerboard()
    tuning, validation = last_out(world)
    fitted: list[Interactions] = []

    def spy(interactions: Interactions, config: Sign) -> Model:
        fitted.append(interactions)
        return signed(interactions, config)

    family = Family("spied", spy, [Sign(sign=-1), Sign(sign=1)])
    reversed_test = Interactions(
        world.user_ids, world.item_ids, world.users, ITEMS - 1 - world.items, world.days, world.strengths
    )
    rankings = [tune_and_rank(family, tuning, validation, test, np.arange(USERS)) for test in (world, reversed_test)]
    assert [id(i) for i in fitted] == [id(i) for i in (tuning, tuning, world, tuning, tuning, reversed_test)]
    assert rankings[0].settings == rankings[1].settings
    assert rankings[0].validation_ndcg == rankings[1].validation_ndcg
    assert (rankings[0].lists != rankings[1].lists).any()


def test_seeds_reach_models_that_draw_at_random() -> None:
    world = checkerboard()
    seen: list[int] = []

    def spy(interactions: Interactions, config: AlsConfig) -> Model:
        seen.append(config.seed)
        return fit_als(interactions, config)

    family = Family("als", spy, [AlsConfig(factors=2)])
    first, again = (tune_and_rank(family, *last_out(world), world, np.arange(4), seed=7).lists for _ in range(2))
    assert set(seen) == {7}
    np.testing.assert_array_equal(first, again)


def test_nothing_to_validate_on_is_an_error() -> None:
    nothing = np.array([], dtype=np.int64)
    with pytest.raises(ValueError, match="no validation interactions to tune colours on"):
        tune(TEXTS, checkerboard(), (nothing, nothing))
