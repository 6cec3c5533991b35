from pathlib import Path

import numpy as np
import pytest

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.synthetic import Oracle, SyntheticConfig, SyntheticWorld, generate, write
from persona_pipeline.sources.synthetic.evaluation import oracle_and_popularity
from persona_pipeline.sources.synthetic.world import choice_model


@pytest.fixture(scope="module")
def oracle(folder: Path) -> Oracle:
    return Oracle(folder)


def test_scores_are_the_probabilities_the_world_was_drawn_from(oracle: Oracle, world: SyntheticWorld) -> None:
    """Read back from the files, to the last bit of what the generator used."""
    model = choice_model(world.config, world.vocabulary, world.shop)
    for day in (0, 90, world.config.days):
        users = np.arange(len(world.people.user_ids))
        expected = world.people.mixture_on(users, np.full(len(users), day)) @ model.table(day)
        np.testing.assert_array_equal(oracle.scores(oracle.user_ids, oracle.item_ids, day), expected)


def test_scores_are_probabilities(oracle: Oracle) -> None:
    scores = oracle.scores(oracle.user_ids, oracle.item_ids, 100)
    assert scores.shape == (250, 160)
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1)


def test_ids_choose_rows_and_columns(oracle: Oracle) -> None:
    everything = oracle.scores(oracle.user_ids, oracle.item_ids, 50)
    some = oracle.scores([oracle.user_ids[9], oracle.user_ids[2]], [oracle.item_ids[5], oracle.item_ids[70]], 50)
    np.testing.assert_allclose(some, everything[np.ix_([9, 2], [5, 70])])


def test_drift_takes_effect_on_its_day(oracle: Oracle, world: SyntheticWorld) -> None:
    changed = next(row for row in world.true_user_rows() if row["drift"])
    steady = next(row for row in world.true_user_rows() if not row["drift"])
    day = changed["drift"]["day"]
    users = [changed["user_id"], steady["user_id"]]
    old = [item for item, launch in zip(oracle.item_ids, world.shop.launch_day, strict=True) if launch == 0]
    before, on, after = (oracle.scores(users, old, when) for when in (day - 1, day, day + 1))
    assert np.abs(on[0] - before[0]).max() > 0.01
    np.testing.assert_allclose(after[0] / after[0].sum(), on[0] / on[0].sum())
    np.testing.assert_allclose(on[1] / on[1].sum(), before[1] / before[1].sum(), atol=1e-3)


def test_items_count_from_their_launch(oracle: Oracle, world: SyntheticWorld) -> None:
    item = int(world.shop.launch_day.argmax())
    launch = int(world.shop.launch_day[item])
    assert oracle.scores(oracle.user_ids, [oracle.item_ids[item]], launch - 1).sum() == 0
    assert oracle.scores(oracle.user_ids, [oracle.item_ids[item]], launch).sum() > 0


def test_days_are_utc_days_since_the_start(oracle: Oracle) -> None:
    start = oracle.config.start_timestamp
    assert [oracle.day_of(start + seconds) for seconds in (0, 86_399, 86_400)] == [0, 0, 1]


def test_unknown_ids_are_named(oracle: Oracle) -> None:
    with pytest.raises(SourceError, match="no user 'nobody'"):
        oracle.scores(["nobody"], oracle.item_ids, 0)
    with pytest.raises(SourceError, match="no item 'nothing'"):
        oracle.scores(oracle.user_ids, ["nothing"], 0)


def test_a_folder_without_truth_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        Oracle(tmp_path)


def test_the_oracle_beats_popularity_by_a_factor_of_three_and_is_no_prophet(tmp_path: Path) -> None:
    write(generate(SyntheticConfig()), tmp_path / "world")
    found = oracle_and_popularity(tmp_path / "world", k=10)
    assert found["users"] > 1_000
    assert found["oracle"] > 3 * found["popularity"]
    assert found["popularity"] > 0.03
    assert 0.2 < found["oracle"] < 0.45


def test_without_tastes_popularity_is_all_there_is(tmp_path: Path) -> None:
    """The control: where nearly every choice is an impulse and one category serves all, the oracle has next to no lead."""
    config = SyntheticConfig(n_latent_personas=2, impulse_share=0.99, n_items=100, n_reviews=8_000, new_item_share=0)
    write(generate(config), tmp_path / "world")
    found = oracle_and_popularity(tmp_path / "world", k=10)
    assert found["oracle"] < 1.15 * found["popularity"]
