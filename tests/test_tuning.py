"""Settings chosen on what is withheld, in worlds where it can be reached in one way only."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from checkerboard import USERS, checkerboard, missing
from worlds import training_world

from persona_pipeline import tuning
from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.retraining import TrainingData
from persona_pipeline.errors import PipelineError
from persona_pipeline.foretelling import ask
from persona_pipeline.tuning import AS_GOOD, POPULARITY_SUPPORTS, POPULARITY_WEIGHTS, PRIORS, Trial, tuned_settings

CONFIG = EncodersConfig(batch_size=64, learning_rate=1e-2)
World = tuple[TrainingData, Interactions, pa.Table]


@pytest.fixture(autouse=True)
def few_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "HALF_LIVES", {"rank": (1.0, 5.0)})
    monkeypatch.setattr(tuning, "STEPS", (5,))


def held(rows: list[tuple[str, str]]) -> pa.Table:
    return pa.table({"user_id": [user for user, _ in rows], "item_id": [item for _, item in rows]})


def co_occurrence_world() -> World:
    """The checkerboard: the item a user lacks of their colour is withheld, and the texts of all items are the same."""
    world = checkerboard()
    met = {
        user: world.item_ids[world.items[world.users == row]][::-1].tolist() for row, user in enumerate(world.user_ids)
    }
    profiles = dict.fromkeys(world.item_ids.tolist(), np.eye(4)[0])
    return *training_world(met, profiles), held([(f"{user:02}", f"{missing(user):02}") for user in range(USERS)])


def text_world() -> World:
    """Two topics. Withheld are new items, which nobody met yet: only their texts say whom they are for."""
    rng = np.random.default_rng(4)
    topic = {f"{kind}-{n:02}": n % 2 for kind, count in (("new", 6), ("old", 16)) for n in range(count)}
    vectors = {item: np.eye(8)[t] + 0.1 * rng.standard_normal(8) for item, t in topic.items()}
    profiles = {item: vector / np.linalg.norm(vector) for item, vector in vectors.items()}
    met, withheld = {}, []
    for n in range(30):
        mine = [item for item, t in topic.items() if t == n % 2]
        met[f"u{n:02}"] = rng.permutation([item for item in mine if item.startswith("old")])[:4].tolist()
        withheld.append((f"u{n:02}", rng.choice([item for item in mine if item.startswith("new")])))
    return *training_world(met, profiles), held(withheld)


def reached(trials: list[Trial], **settings: Any) -> float:
    """The best NDCG@10 of the trials with these settings."""
    return max(t.ndcg for t in trials if all(t.settings.get(name) == value for name, value in settings.items()))


def test_who_can_only_be_reached_by_co_occurrence_needs_the_prior() -> None:
    settings, trials = tuned_settings(*co_occurrence_world(), CONFIG)
    assert settings["prior"] != "none"
    assert settings["prior_weight"] > 0
    assert reached(trials, **settings) > 0.99
    assert reached(trials, prior="none") < 0.7


def test_what_can_only_be_reached_by_its_text_does_without() -> None:
    settings, trials = tuned_settings(*text_world(), CONFIG)
    assert (settings["prior"], settings["prior_weight"], settings["popularity_weight"]) == ("none", 0.0, 0.0)
    assert reached(trials, **settings) >= AS_GOOD * max(trial.ndcg for trial in trials)
    assert reached(trials, prior="prox_knn", prior_weight=8.0) < reached(trials, **settings)


def test_settings_are_complete_and_of_a_trial() -> None:
    settings, trials = tuned_settings(*text_world(), CONFIG)
    assert set(settings) == {"half_life", "steps", "popularity_weight", "popularity_support", "prior", "prior_weight"}
    assert settings in [trial.settings for trial in trials]
    EncodersConfig.model_validate(settings)
    fused = len(POPULARITY_SUPPORTS) * sum(len(weights) for _, weights in PRIORS)
    assert len(trials) == len(POPULARITY_WEIGHTS) * (2 + fused)


def test_scores_do_not_depend_on_what_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other answers of the same users: other figures, and to the last bit the same scores."""
    data, interactions, withheld = text_world()
    others = withheld.set_column(1, "item_id", pa.array(["new-00"] * len(withheld)))
    mean = tuning._mean
    seen: list[np.ndarray] = []

    def watched(scores: np.ndarray, asked: Any) -> float:
        seen.append(scores.copy())
        return mean(scores, asked)

    monkeypatch.setattr(tuning, "_mean", watched)
    # One head, or which is taken to the second phase would depend on the answers.
    monkeypatch.setattr(tuning, "HALF_LIVES", {"rank": (5.0,)})
    _, one = tuned_settings(data, interactions, withheld, CONFIG)
    first = seen.copy()
    seen.clear()
    _, other = tuned_settings(data, interactions, others, CONFIG)
    assert len(first) == len(seen)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(first, seen, strict=True))
    assert [trial.ndcg for trial in one] != [trial.ndcg for trial in other]


def test_among_settings_as_good_the_one_that_leans_least_is_taken() -> None:
    def trial(prior_weight: float, popularity_weight: float, ndcg: float) -> Trial:
        return Trial({"prior_weight": prior_weight, "popularity_weight": popularity_weight}, ndcg)

    best, plain, popular = trial(2.0, 0.0, 0.5), trial(0.0, 0.5, 0.4951), trial(0.0, 0.25, 0.4949)
    assert tuning._least_leaning([best, plain, popular]) is plain
    assert tuning._least_leaning([best, popular]) is best
    assert tuning._least_leaning([plain, trial(0.0, 0.25, 0.4952), trial(1.0, 0.0, 0.4953)]).ndcg == 0.4952


def test_who_has_no_history_and_what_has_no_persona_is_left_out() -> None:
    data, interactions, withheld = text_world()
    rows = [*zip(*withheld.to_pydict().values(), strict=True), ("stranger", "new-00"), ("u00", "unknown")]
    assert tuned_settings(data, interactions, held(rows), CONFIG) == tuned_settings(
        data, interactions, withheld, CONFIG
    )
    with pytest.raises(PipelineError, match="none of the held-out interactions is of a user with a history"):
        tuned_settings(data, interactions, held([("stranger", "new-00"), ("u00", "unknown")]), CONFIG)


def test_what_a_user_met_is_not_asked_for() -> None:
    """Items met are left out even where the encoder knows users whom nobody asks about."""
    data, interactions, withheld = co_occurrence_world()
    items_known = np.unique(data.personas["item_id"].to_numpy())
    asked = ask(data, interactions, withheld.slice(3, 2), items_known, 100)
    users, items = asked.seen
    expected = {(user - 3, int(item)) for user in (3, 4) for item in range(12) if item % 2 == user % 2} - {
        (user - 3, missing(user)) for user in (3, 4)
    }
    assert set(zip(users.tolist(), items.tolist(), strict=True)) == expected
    assert asked.truth.items.tolist() == [missing(3), missing(4)]
    assert asked.histories.lengths.tolist() == [5, 5]


def test_a_large_world_is_asked_by_a_sample_of_users() -> None:
    data, interactions, withheld = co_occurrence_world()
    asked = ask(data, interactions, withheld, np.unique(data.personas["item_id"].to_numpy()), 7)
    assert asked.truth.users == len(asked.histories.lengths) == 7
