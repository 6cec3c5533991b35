"""Weights of a history: next to what is predicted counts most, and the newest where that comes last."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.history_weights import (
    examples_of,
    history_weights,
    places_apart,
    ranks,
    shortened,
    weighted_histories,
)


@pytest.mark.parametrize(
    ("count", "place", "distances"),
    [
        (4, 0, [0, 1, 2, 3]),  # predicted is the newest: how it is when serving
        (4, 4, [3, 2, 1, 0]),  # the oldest
        (4, 1, [0, 0, 1, 2]),  # neighbours on either side are as near
        (4, 2, [1, 0, 0, 1]),
        (1, 0, [0]),
        (1, 1, [0]),
    ],
)
def test_distances_by_hand(count: int, place: int, distances: list[int]) -> None:
    assert places_apart(np.array([count]), np.array([place])).tolist() == distances


def test_weights_by_hand() -> None:
    # Half-life 1: 1, 1, 1/2, 1/4 over 11/4. Half-life 2, three steps: 1, 0.5 ** 0.5, 0.5.
    np.testing.assert_allclose(weights_of(4, 1, 1.0), np.array([4, 4, 2, 1]) / 11)
    halves = np.array([1, 0.5**0.5, 0.5])
    np.testing.assert_allclose(weights_of(3, 0, 2.0), halves / halves.sum())
    half = weights_of(11, 0, 5.0)
    assert half[5] / half[0] == pytest.approx(0.5)
    assert half[10] / half[0] == pytest.approx(0.25)
    assert weights_of(1, 0, 0.3).tolist() == [1.0]


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.floats(0.5, 20))
def test_neighbours_weigh_most_and_time_turned_round_is_the_same(shape: tuple[int, int], half_life: float) -> None:
    count, place = shape
    weights = weights_of(count, place, half_life)
    assert abs(weights.sum() - 1) < 1e-12
    assert (np.diff(weights[:place]) > 0).all()
    assert (np.diff(weights[place:]) < 0).all()
    np.testing.assert_allclose(weights_of(count, count - place, half_life)[::-1], weights)


def test_a_history_far_away_keeps_its_weight() -> None:
    np.testing.assert_allclose(history_weights(np.array([9000, 9001]), np.array([2]), 0.5), [0.8, 0.2])


def test_many_histories_at_once() -> None:
    lengths, places = np.array([3, 0, 1, 2]), np.array([0, 0, 1, 1])
    assert ranks(lengths).tolist() == [0, 1, 2, 0, 0, 1]
    assert places_apart(lengths, places).tolist() == [0, 1, 2, 0, 0, 0]
    each = [weights_of(count, place, 2.0) for count, place in ((3, 0), (1, 1), (2, 1))]
    np.testing.assert_allclose(history_weights(places_apart(lengths, places), lengths, 2.0), np.concatenate(each))
    assert history_weights(np.empty(0), np.array([0]), 2.0).tolist() == []


def weights_of(count: int, place: int, half_life: float) -> np.ndarray:
    """Of one history, around what stood at a place in it."""
    lengths = np.array([count])
    return history_weights(places_apart(lengths, np.array([place])), lengths, half_life)


def test_lessons_look_back_only_where_they_are_told_to() -> None:
    """Ana's newest, middle and oldest: the oldest has nothing before it and is no example."""
    pairs = pa.table(
        {
            "interaction_id": ["new", "mid", "old"],
            "history_interaction_ids": [["mid", "old"], ["new", "old"], ["new", "mid"]],
            "history_place": pa.array([0, 1, 2], pa.int32()),
        }
    )
    assert examples_of(pairs, EncodersConfig()) is pairs
    earlier = examples_of(pairs, EncodersConfig(training_histories="earlier"))
    assert earlier.to_pylist() == [
        {"interaction_id": "new", "history_interaction_ids": ["mid", "old"], "history_place": 0},
        {"interaction_id": "mid", "history_interaction_ids": ["old"], "history_place": 0},
    ]


def test_a_shortened_history_keeps_count_of_what_is_newer() -> None:
    pairs = pa.table(
        {"history_interaction_ids": [["a", "b", "c"], ["d"]], "history_place": pa.array([2, 1], pa.int32())}
    )
    found = shortened(pairs, np.array([False, True, True, False]))
    assert found.to_pylist() == [{"history_interaction_ids": ["b", "c"], "history_place": 1}]


def test_what_says_less_weighs_less_at_any_age() -> None:
    distances, lengths = np.array([0, 1, 0]), np.array([2, 1])
    found = history_weights(distances, lengths, 1.0, np.array([0.2, 1.0, 0.3]))
    np.testing.assert_allclose(found, [0.2 / 0.7, 0.5 / 0.7, 1])


def test_pairs_look_up_the_weights_of_their_histories() -> None:
    met = pa.table({"interaction_id": ["new", "mid", "old"], "weight": [1.0, 0.5, 1.0], "day": [3.0, 2.0, 1.0]})
    pairs = pa.table({"history_interaction_ids": [["mid", "old"]], "history_place": pa.array([0], pa.int32())})
    _, members, weights = weighted_histories(pairs, met, EncodersConfig(half_life=1.0))
    assert members.tolist() == [1, 2]
    np.testing.assert_allclose(weights, [0.5, 0.5])  # half as strong, but one nearer
