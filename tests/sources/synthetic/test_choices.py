"""The choice model against numbers worked out by hand, and the sampler against the model."""

import numpy as np
import pytest

from persona_pipeline.core.errors import ConfigError
from persona_pipeline.sources.synthetic.choices import ChoiceModel, make_choices
from persona_pipeline.sources.synthetic.config import SyntheticConfig
from persona_pipeline.sources.synthetic.people import NO_DRIFT, People, Visits


def model(launch_day: tuple[int, ...] = (0, 0, 0), impulse_share: float = 0.2, all_buy_all: bool = True) -> ChoiceModel:
    return ChoiceModel(
        weights=np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]),
        eligible=np.array([[True, all_buy_all], [True, True], [all_buy_all, True]]),
        popularity=np.array([0.64, 0.16, 0.04]),
        launch_day=np.array(launch_day),
        popularity_exponent=0.5,
        impulse_share=impulse_share,
    )


def test_table_by_hand() -> None:
    # Pull: .8, .4, .2. Matched, first persona: .8, .2, 0; second: 0, .2, .2. Impulse: .8, .4, .2 of 1.4 for both.
    impulse = 0.2 * np.array([0.8, 0.4, 0.2]) / 1.4
    np.testing.assert_allclose(model().table(0)[0], 0.8 * np.array([0.8, 0.2, 0.0]) + impulse)
    np.testing.assert_allclose(model().table(0)[1], 0.8 * np.array([0.0, 0.5, 0.5]) + impulse)


def test_an_item_counts_from_its_launch_day_on() -> None:
    late = model(launch_day=(5, 0, 0))
    assert late.table(4)[:, 0].tolist() == [0, 0]
    np.testing.assert_allclose(late.table(4).sum(axis=1), 1)
    np.testing.assert_array_equal(late.table(5), model().table(0))


def visitors(n: int, visits_each: int) -> tuple[People, Visits]:
    """`n` equal users, a quarter first persona; visits on day 0."""
    mixture = np.tile([0.25, 0.75], (n, 1))
    people = People(
        user_ids=tuple(map(str, range(n))),
        mixture=mixture,
        drift_day=np.full(n, NO_DRIFT),
        later_mixture=mixture,
        cold=np.zeros(n, dtype=bool),
        leniency=np.zeros(n),
    )
    user, nth = np.repeat(np.arange(n), visits_each), np.tile(np.arange(visits_each), n)
    return people, Visits(user=user, timestamp=nth, day=np.zeros(n * visits_each, dtype=np.int64), nth=nth)


def test_first_choices_follow_the_mixture_of_tables() -> None:
    n = 40_000
    people, visits = visitors(n, 1)
    chosen = make_choices(SyntheticConfig(n_users=n, n_reviews=4 * n), model(), people, visits)
    expected = np.array([0.25, 0.75]) @ model().table(0)
    np.testing.assert_allclose(np.bincount(chosen.item, minlength=3) / n, expected, atol=0.01)
    assert np.bincount(chosen.persona)[0] / n == pytest.approx(0.25, abs=0.01)


def test_second_choices_are_drawn_without_the_first() -> None:
    n = 40_000
    people, visits = visitors(n, 2)
    item = make_choices(SyntheticConfig(n_users=n, n_reviews=4 * n), model(), people, visits).item.reshape(n, 2)
    p = np.array([0.25, 0.75]) @ model().table(0)
    for first in range(3):
        then = item[item[:, 0] == first, 1]
        expected = np.where(np.arange(3) == first, 0, p) / (1 - p[first])
        np.testing.assert_allclose(np.bincount(then, minlength=3) / len(then), expected, atol=0.02)


def test_when_nothing_liked_is_left_anything_of_the_category_will_do() -> None:
    people, visits = visitors(50, 3)
    people.mixture[:] = [1.0, 0.0]  # likes items 0 and 1 only, and there is no impulse
    item = make_choices(
        SyntheticConfig(n_users=50, n_reviews=200), model(impulse_share=0), people, visits
    ).item.reshape(50, 3)
    assert (np.sort(item, axis=1) == [0, 1, 2]).all()
    assert (item[:, 2] == 2).all()


def test_running_out_of_items_is_an_error_not_an_endless_loop() -> None:
    people, visits = visitors(5, 3)
    people.mixture[:] = [1.0, 0.0]
    with pytest.raises(ConfigError, match="raise n_items"):
        make_choices(
            SyntheticConfig(n_users=5, n_reviews=20), model(impulse_share=0, all_buy_all=False), people, visits
        )
