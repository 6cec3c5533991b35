"""Every family on a checkerboard, and each formula against a slow or dense version of itself."""

from collections.abc import Callable

import numpy as np
import pytest
from checkerboard import ITEMS, USERS, best_new_item, checkerboard, missing
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from persona_pipeline.collaborative.als import AlsConfig, fit_als
from persona_pipeline.collaborative.content import ContentConfig, fit_content
from persona_pipeline.collaborative.ease import EaseConfig, fit_ease
from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.item_item import truncate
from persona_pipeline.collaborative.item_knn import ItemKnnConfig, fit_item_knn
from persona_pipeline.collaborative.lightgcn import LightGcnConfig, fit_lightgcn
from persona_pipeline.collaborative.model import Model, with_popularity
from persona_pipeline.collaborative.popularity import PopularityConfig, fit_popularity
from persona_pipeline.collaborative.prox_knn import ProxKnnConfig, fit_prox_knn

COLOURS = np.eye(2)[np.arange(ITEMS) % 2]  # (items, 2): a text that says the colour and nothing else

MODELS: dict[str, Callable[[Interactions], Model]] = {
    "item_knn": lambda world: fit_item_knn(world, ItemKnnConfig()),
    "ease": lambda world: fit_ease(world, EaseConfig(l2=1)),
    "prox_knn": lambda world: fit_prox_knn(world, ProxKnnConfig()),
    "als": lambda world: fit_als(world, AlsConfig(factors=2, regularization=1.0)),
    "lightgcn": lambda world: fit_lightgcn(world, LightGcnConfig(dimensions=8, l2=0.01)),
    "content": lambda world: fit_content(COLOURS, ContentConfig()),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("half_life", [None, 2.0])
def test_everybody_lacks_the_one_item_of_their_colour(name: str, half_life: float | None) -> None:
    world = checkerboard()
    scores = MODELS[name](world).scores(world.histories(half_life))
    assert scores.shape == (USERS, ITEMS)
    assert scores.dtype == np.float64
    assert best_new_item(scores).tolist() == [missing(user) for user in range(USERS)]


@pytest.mark.parametrize("name", MODELS)
def test_a_history_never_fitted_on_is_understood(name: str) -> None:
    odd = csr_array(np.array([[0, 1.0, 0, 1.0] + [0] * (ITEMS - 4)]))
    scores = MODELS[name](checkerboard()).scores(odd)[0]
    assert scores[5::2].min() > scores[4::2].max()


@pytest.mark.parametrize("name", ["als", "lightgcn"])
def test_the_same_twice(name: str) -> None:
    world = checkerboard()
    first, again = (MODELS[name](world).scores(world.matrix()) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", MODELS)
def test_without_a_history_popularity_decides(name: str) -> None:
    counts = np.arange(ITEMS)
    mixed = with_popularity(MODELS[name](checkerboard()).scores(csr_array((1, ITEMS))), counts, 0.0)
    np.testing.assert_allclose(mixed, [np.log1p(counts)])


def test_popularity_within_a_window() -> None:
    world = Interactions.build(list("abcd"), list("xxyy"), [1, 7, 8, 9], catalogue=["z"])
    fitted = {days: fit_popularity(world, PopularityConfig(window_days=days)) for days in (None, 2, 3)}
    counts = {days: np.expm1(model.scores(world.matrix()[:2])) for days, model in fitted.items()}
    np.testing.assert_allclose(counts[None], [[2, 2, 0]] * 2)
    np.testing.assert_allclose(counts[2], [[0, 2, 0]] * 2)
    np.testing.assert_allclose(counts[3], [[1, 2, 0]] * 2)


def histories_of_letters() -> st.SearchStrategy[Interactions]:
    """A few users who met some of eight items, at most one a day."""
    history = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)
    return st.lists(history, min_size=1, max_size=6).map(
        lambda people: Interactions.build(
            [f"u{n}" for n, items in enumerate(people) for _ in items],
            [item for items in people for item in items],
            [9 * day for items in people for day, _ in enumerate(items)],
            catalogue=list("abcdefgh"),
        )
    )


@given(histories_of_letters(), st.sampled_from([None, 10.0]))
def test_prox_knn_is_a_double_loop_over_each_history(world: Interactions, ageing: float | None) -> None:
    config = ProxKnnConfig(distance_half_life=2, shrinkage=3, age_half_life_days=ageing)
    weights = world.age_weights(ageing)
    items = len(world.item_ids)
    near, squares = np.zeros((items, items)), np.zeros(items)
    for user in range(len(world.user_ids)):
        rows = np.flatnonzero(world.users == user)
        for i, a in enumerate(rows):
            squares[world.items[a]] += weights[a] ** 2
            for j, b in enumerate(rows):
                if i != j:
                    near[world.items[a], world.items[b]] += weights[a] * weights[b] * 0.5 ** ((abs(i - j) - 1) / 2)
    expected = near / (np.sqrt(np.outer(squares, squares)) + 3)
    found = fit_prox_knn(world, config).similarities
    assert isinstance(found, csr_array)
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-12)


def test_prox_knn_leaves_out_pairs_too_far_apart() -> None:
    letters = list("abcdefghijklm")
    world = Interactions.build(["u"] * 13, letters, range(13))
    reach = fit_prox_knn(world, ProxKnnConfig(distance_half_life=1)).scores(csr_array(np.eye(1, 13)))[0] > 0
    assert reach.tolist() == [False] + [True] * 10 + [False] * 2  # 0.5 ** 9 is the last weight above a thousandth


@given(histories_of_letters())
def test_item_knn_is_a_shrunk_cosine(world: Interactions) -> None:
    met = world.matrix().toarray()
    together, counts = met.T @ met, met.sum(0)
    expected = together / (np.sqrt(np.outer(counts, counts)) + 2)
    np.fill_diagonal(expected, 0)
    found = fit_item_knn(world, ItemKnnConfig(shrinkage=2, neighbours=8)).similarities
    assert isinstance(found, csr_array)
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-12)


@given(histories_of_letters(), st.sampled_from([None, 20.0]))
def test_ease_is_ridge_regression_of_each_item_on_the_others(world: Interactions, ageing: float | None) -> None:
    weights = fit_ease(world, EaseConfig(l2=0.5, age_half_life_days=ageing)).similarities
    met = world.matrix(ageing).toarray()
    for item in range(met.shape[1]):
        others = np.delete(np.arange(met.shape[1]), item)
        x, y = met[:, others], met[:, item]
        expected = np.linalg.solve(x.T @ x + 0.5 * np.eye(len(others)), x.T @ y)
        np.testing.assert_allclose(weights[others, item], expected, atol=1e-9)
        assert weights[item, item] == 0


def test_truncate_keeps_the_largest_of_each_row_lower_columns_first() -> None:
    dense = np.array([[0.0, 3, 1, 3], [2, 0, 2, 2], [0, 0, 0, 1], [-1, -2, 5, 0]])
    expected = [[0, 3, 0, 3], [2, 0, 2, 0], [0, 0, 0, 1], [-1, 0, 5, 0]]
    for given_as in (dense, csr_array(dense)):
        assert truncate(given_as, 2).toarray().tolist() == expected


def test_scores_are_scaled_by_user_and_popularity_added() -> None:
    scores, counts = np.array([[1.0, 3], [10, 30], [5, 5]]), np.array([0, 7])
    expected = [[1, 3 + 0.5 * np.log(8)], [1, 3 + 0.5 * np.log(8)], [0, np.log(8)]]
    np.testing.assert_allclose(with_popularity(scores, counts, 0.5), expected)


def test_centred_content_ignores_what_all_items_share_and_items_without_text() -> None:
    vectors = np.array([[10, 1.0], [10, -1], [10, 1], [0, 0]])
    model = fit_content(vectors, ContentConfig(centred=True))
    np.testing.assert_allclose(model.vectors[3], [0, 0])
    scores = model.scores(csr_array(np.array([[1.0, 0, 0, 0]])))
    assert scores[0, 2] == pytest.approx(1)
    assert scores[0, 1] < 0
    assert fit_content(vectors, ContentConfig()).scores(csr_array(np.eye(1, 4)))[0, 1] > 0.9
