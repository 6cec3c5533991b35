"""Weights of a history: next to what is foretold counts most, and the newest where that comes last."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.encoder.recency import distances_from, history_weights, proximity_weights, ranks, recency_weights


@pytest.mark.parametrize(
    ("count", "place", "distances"),
    [
        (4, 0, [0, 1, 2, 3]),  # foretold is the newest: how it is when serving
        (4, 4, [3, 2, 1, 0]),  # the oldest
        (4, 1, [0, 0, 1, 2]),  # neighbours on either side are as near
        (4, 2, [1, 0, 0, 1]),
        (1, 0, [0]),
        (1, 1, [0]),
    ],
)
def test_distances_by_hand(count: int, place: int, distances: list[int]) -> None:
    assert distances_from(count, place).tolist() == distances


def test_proximity_weights_by_hand() -> None:
    # Half-life 1: 1, 1, 1/2, 1/4 over 11/4. Half-life 2, three steps: 1, 0.5 ** 0.5, 0.5.
    np.testing.assert_allclose(proximity_weights(np.array([0, 0, 1, 2]), 1.0), np.array([4, 4, 2, 1]) / 11)
    halves = np.array([1, 0.5**0.5, 0.5])
    np.testing.assert_allclose(proximity_weights(np.arange(3), 2.0), halves / halves.sum())


@given(st.integers(1, 60), st.floats(0.5, 20))
def test_the_newest_foretold_is_recency(count: int, half_life: float) -> None:
    np.testing.assert_array_equal(
        proximity_weights(distances_from(count, 0), half_life), recency_weights(count, half_life)
    )


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.floats(0.5, 20))
def test_neighbours_weigh_most_and_time_turned_round_is_the_same(shape: tuple[int, int], half_life: float) -> None:
    count, place = shape
    weights = proximity_weights(distances_from(count, place), half_life)
    assert abs(weights.sum() - 1) < 1e-12
    assert (np.diff(weights[:place]) > 0).all()
    assert (np.diff(weights[place:]) < 0).all()
    turned = proximity_weights(distances_from(count, count - place), half_life)
    np.testing.assert_allclose(turned[::-1], weights)


def test_a_history_far_away_keeps_its_weight() -> None:
    np.testing.assert_allclose(proximity_weights(np.array([900, 901]), 0.5), [0.8, 0.2])


def test_many_histories_at_once() -> None:
    lengths = np.array([3, 0, 1, 2])
    assert ranks(lengths).tolist() == [0, 1, 2, 0, 0, 1]
    each = [recency_weights(count, 2.0) for count in (3, 1, 2)]
    np.testing.assert_allclose(history_weights(ranks(lengths), lengths, 2.0), np.concatenate(each))
    assert history_weights(np.empty(0), np.array([0]), 2.0).tolist() == []
