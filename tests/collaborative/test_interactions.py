"""Interactions by hand: order, places in a history, and what fades."""

import numpy as np
import pytest

from persona_pipeline.collaborative.interactions import Interactions


def shop() -> Interactions:
    """In time order: ben x, ana y, ana x, ana z, ben y; nobody met w."""
    return Interactions.build(
        ["ben", "ana", "ana", "ana", "ben"], list("xyxzy"), [0, 2, 4, 4, 10], catalogue=["w", "x"]
    )


def test_rows_go_by_user_then_oldest_first() -> None:
    built = shop()
    assert built.user_ids.tolist() == ["ana", "ben"]
    assert built.item_ids.tolist() == ["w", "x", "y", "z"]
    assert built.users.tolist() == [0, 0, 0, 1, 1]
    assert built.items.tolist() == [2, 1, 3, 1, 2]
    assert built.days.tolist() == [2, 4, 4, 0, 10]
    assert built.counts().tolist() == [0, 2, 2, 1]


def test_an_item_met_again_counts_once_at_its_newest() -> None:
    built = Interactions.build(["ana"] * 3, ["x", "y", "x"], [1, 2, 3])
    assert built.items.tolist() == [1, 0]
    assert built.days.tolist() == [2, 3]


def test_histories_fade_by_place_newest_first() -> None:
    built = shop()
    assert built.recency().tolist() == [2, 1, 0, 1, 0]
    expected = [[0, 0.5, 0.25, 1], [0, 0.5, 1, 0]]
    np.testing.assert_allclose(built.histories(1.0).toarray(), expected)
    np.testing.assert_array_equal(built.histories(None).toarray(), np.array(expected) > 0)


def test_ages_fade_by_days_before_the_newest_of_all() -> None:
    np.testing.assert_allclose(shop().age_weights(2.0), 0.5 ** np.array([4, 3, 3, 5, 0]))
    np.testing.assert_allclose(shop().matrix(2.0).toarray(), [[0, 1 / 8, 1 / 16, 1 / 8], [0, 1 / 32, 1, 0]])


def test_without_keeps_users_and_items() -> None:
    left = shop().without(np.array([True, True, True, False, False]))
    assert left.users.tolist() == [1, 1]
    assert left.matrix().toarray().tolist() == [[0, 0, 0, 0], [0, 1, 1, 0]]
    assert left.recency().tolist() == [1, 0]


def test_nothing_met_is_a_matrix_of_nothing() -> None:
    none = Interactions.build([], [], [], catalogue=["x"])
    assert none.matrix().shape == (0, 1)
    assert none.recency().tolist() == none.age_weights(3.0).tolist() == []


def test_days_that_go_back_are_refused() -> None:
    with pytest.raises(ValueError, match="time order"):
        Interactions.build(["ana", "ana"], ["x", "y"], [2, 1])
    with pytest.raises(ValueError, match="differ in length"):
        Interactions.build(["ana"], ["x", "y"], [1, 2])


def test_strengths_scale_what_counts() -> None:
    strong = Interactions.build(["ana", "ana", "ben"], list("xyx"), [0, 10, 10], strengths=[0.5, 1.0, 0.2])
    np.testing.assert_allclose(strong.matrix().toarray(), [[0.5, 1], [0.2, 0]])
    np.testing.assert_allclose(strong.age_weights(10), [0.25, 1, 0.2])
    np.testing.assert_allclose(strong.histories(1.0).toarray(), [[0.25, 1], [0.2, 0]])
    assert strong.without(np.array([True, False, False])).strengths.tolist() == [1.0, 0.2]
    assert strong.counts().tolist() == [2, 1]  # people, whatever they did
    with pytest.raises(ValueError, match="columns differ in length: 1, 1, 1, 2"):
        Interactions.build(["ana"], ["x"], [0], strengths=[1, 1])
