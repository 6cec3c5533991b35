"""Top-k is exact: equal to a float64 brute force on friendly and on hostile vectors, whatever the blocks."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from persona_pipeline.encoder.head import aggregate
from persona_pipeline.score import kernel
from persona_pipeline.score.kernel import Ranked, Shelf, exact_scores, top_items

NO_BOUND = 2**40
TEMPERATURE = 0.1


@dataclass(frozen=True)
class Case:
    """Users against a shelf."""

    shelf: Shelf
    users: np.ndarray
    seen: list[np.ndarray]
    k: int
    prior: csr_array


def _unit(rows: np.ndarray) -> np.ndarray:
    normalised: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normalised


def make_case(kind: str, seed: int, users: int, items: int, k: int, aggregation: str, prior_scale: float = 0.0) -> Case:
    """Vectors of one kind; items have one to four personas; each user has seen some items and has a prior on some."""
    rng = np.random.default_rng(seed)
    d = 24
    counts = rng.integers(1, 5, items)
    personas: np.ndarray = rng.standard_normal((counts.sum(), d))
    people: np.ndarray = rng.standard_normal((users, d))
    popularity: np.ndarray = rng.random(items) * 0.3
    if kind == "clustered":  # scores apart by less than float32 can tell
        personas = _unit(rng.standard_normal((1, d))) + 1e-7 * personas
        popularity = popularity * 1e-7
    elif kind == "tied":  # a handful of distinct items, each many times over
        counts = np.full(items, 2)
        kinds = rng.standard_normal((3, 2, d))
        chosen = rng.integers(0, 3, items)
        personas, popularity = kinds[chosen].reshape(-1, d), chosen * 0.01
    elif kind == "opposed":  # everything a user likes is at exactly right angles or straight away from them
        axes = np.eye(d)
        personas = axes[rng.integers(0, 3, counts.sum())] * rng.choice([-1.0, 1.0], (counts.sum(), 1))
        people = axes[rng.integers(0, 3, users)]
        popularity = np.zeros(items)
    item_of = np.repeat([f"B{n:05d}" for n in range(items)], counts)
    shares = {f"B{n:05d}": float(popularity[n]) for n in range(items)}
    shelf = Shelf.build(item_of, _unit(personas).astype(np.float32), shares, TEMPERATURE, aggregation)
    seen = [rng.choice(items, rng.integers(0, items + 1), replace=False) for _ in range(users)]
    prior = prior_scale * rng.random((users, items)) * (rng.random((users, items)) < 0.4)
    return Case(shelf, _unit(people), seen, k, csr_array(prior))


def brute_force(case: Case) -> tuple[list[list[int]], list[list[float]]]:
    """Every score in float64, one Python loop at a time; ties (to 1e-9) by item."""
    best_items, best_scores = [], []
    for user, seen, prior in zip(case.users, case.seen, case.prior.toarray(), strict=True):
        scored = []
        for item in range(len(case.shelf.item_ids)):
            rows = case.shelf.slots[item][case.shelf.filled[item]]
            similar = [float(np.dot(user, case.shelf.vectors[row].astype(np.float64))) for row in rows]
            relevance = max(similar)
            if case.shelf.aggregation == "softmax":
                powers = np.exp((np.array(similar) - max(similar)) / TEMPERATURE)
                relevance += TEMPERATURE * (np.log(powers.sum()) - np.log(len(rows)))
            if item not in seen:
                scored.append((-round(relevance + case.shelf.popularity[item] + prior[item], 9), item))
        scored.sort()
        best_items.append([item for _, item in scored[: case.k]])
        best_scores.append([-score for score, _ in scored[: case.k]])
    return best_items, best_scores


def listed(values: np.ndarray, items: np.ndarray) -> list[list[float]]:
    return [row[present].tolist() for row, present in zip(values, items >= 0, strict=True)]


CASES = st.builds(
    make_case,
    kind=st.sampled_from(["random", "clustered", "tied", "opposed"]),
    seed=st.integers(0, 2**32 - 1),
    users=st.integers(1, 4),
    items=st.integers(1, 90),
    k=st.integers(1, 12),
    aggregation=st.sampled_from(["softmax", "max"]),
    prior_scale=st.sampled_from([0.0, 1e-7, 0.3, 20.0]),
)


def top(case: Case, block_bytes: int = NO_BOUND) -> Ranked:
    return top_items(case.shelf, case.users, case.seen, case.k, block_bytes, case.prior)


@settings(max_examples=60, deadline=None)
@given(CASES)
@example(make_case("tied", 1, 3, 90, 10, "softmax"))
@example(make_case("clustered", 2, 3, 90, 10, "max"))
@example(make_case("opposed", 3, 3, 60, 5, "softmax"))
@example(make_case("random", 4, 3, 3, 12, "softmax"))  # k larger than there are items
@example(make_case("clustered", 5, 3, 90, 10, "max", prior_scale=1e-7))
@example(make_case("tied", 6, 3, 90, 10, "softmax", prior_scale=0.3))
@example(make_case("random", 7, 12, 90, 1, "softmax", prior_scale=20.0))  # what the prior lifts is far down without it
def test_equals_brute_force(case: Case) -> None:
    found = top(case)
    items, scores = brute_force(case)
    assert listed(found.items, found.items) == items
    for ours, theirs in zip(listed(found.scores, found.items), scores, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-9)
    assert found.items.shape == (len(case.users), case.k)


def test_float32_alone_would_be_wrong() -> None:
    """Proof that the cases above are hard: the rough pass by itself orders clustered items wrongly."""
    case = make_case("clustered", 2, 3, 90, 10, "max")
    everything = replace(case, seen=[np.array([], int)] * 3)
    rough = kernel._rough_scores(case.shelf, case.users, np.ones(3)).topk(10, dim=1).indices.numpy()
    exact, _ = brute_force(everything)
    assert rough.tolist() != exact
    assert listed(top(everything).items, rough) == exact


@settings(max_examples=25, deadline=None)
@given(CASES, st.integers(1, 5))
def test_blocks_of_any_size_give_identical_results(case: Case, users_per_block: int) -> None:
    whole = top(case)
    blocks = top(case, users_per_block * 4 * case.shelf.slots.size)
    tiny = top(case, 1)
    for other in (blocks, tiny):
        np.testing.assert_array_equal(other.items, whole.items)
        present = whole.items >= 0
        np.testing.assert_array_equal(other.personas[present], whole.personas[present])
        np.testing.assert_array_equal(other.scores[present], whole.scores[present])
        np.testing.assert_array_equal(other.prior[present], whole.prior[present])


@pytest.mark.parametrize("aggregation", ["softmax", "max"])
def test_parts_add_up_and_the_winner_is_the_nearest_persona(aggregation: str) -> None:
    case = make_case("random", 5, 4, 40, 6, aggregation, prior_scale=0.5)
    found = exact_scores(case.shelf, case.users, np.tile(np.arange(40), (4, 1)), case.prior)
    np.testing.assert_array_equal(found.scores, found.best + found.others + case.shelf.popularity + found.prior)
    np.testing.assert_array_equal(found.prior, case.prior.toarray())
    similar = case.users @ case.shelf.vectors.T.astype(np.float64)
    for user in range(4):
        for item in range(40):
            rows = case.shelf.slots[item][case.shelf.filled[item]]
            assert found.personas[user, item] == rows[similar[user, rows].argmax()]
    np.testing.assert_allclose(found.best, np.take_along_axis(similar, found.personas, 1), atol=1e-15)
    if aggregation == "max":
        assert not found.others.any()
    else:
        assert (found.others <= 1e-12).all()  # the soft maximum lies below the maximum
        assert (found.others[:, case.shelf.filled.sum(1) == 1] == 0).all()


@pytest.mark.parametrize("aggregation", ["softmax", "max"])
def test_serving_scores_are_the_training_scores(aggregation: str) -> None:
    case = make_case("random", 6, 4, 40, 6, aggregation)
    served = exact_scores(case.shelf, case.users, np.tile(np.arange(40), (4, 1)))
    similar = torch.from_numpy(case.users) @ torch.from_numpy(case.shelf.vectors).double().T
    trained = aggregate(
        similar[:, torch.from_numpy(case.shelf.slots)], torch.from_numpy(case.shelf.filled), TEMPERATURE, aggregation
    )
    np.testing.assert_allclose(served.best + served.others, trained.numpy(), atol=1e-12)


def test_everything_seen_leaves_no_item() -> None:
    case = make_case("random", 7, 2, 5, 3, "softmax", prior_scale=0.5)
    found = top(replace(case, seen=[np.arange(5), np.array([0, 1, 3])]))
    assert found.items[0].tolist() == [-1, -1, -1]
    assert sorted(found.items[1].tolist()) == [-1, 2, 4]
    assert found.items[1, 2] == -1  # what is missing comes last


def test_ties_go_to_the_earlier_item() -> None:
    same = np.tile(np.eye(4, dtype=np.float32)[0], (100, 1))
    items = np.array([f"B{n:05d}" for n in range(100)])
    shelf = Shelf.build(items, same, dict.fromkeys(items.tolist(), 0.0), TEMPERATURE, "softmax")
    found = top_items(shelf, np.eye(4)[:1], [np.array([1, 3])], 5, NO_BOUND, csr_array((1, 100)))
    assert found.items.tolist() == [[0, 2, 4, 5, 6]]
    assert found.scores.tolist() == [[1.0] * 5]


def test_the_prior_lifts_what_the_personas_leave_level() -> None:
    same = np.tile(np.eye(4, dtype=np.float32)[0], (100, 1))
    items = np.array([f"B{n:05d}" for n in range(100)])
    shelf = Shelf.build(items, same, dict.fromkeys(items.tolist(), 0.0), TEMPERATURE, "softmax")
    # The first user's prior knows three items, one of them seen; the second's none.
    prior = csr_array(([0.5, 0.25, 9.0], ([0, 0, 0], [99, 50, 7])), shape=(2, 100))
    found = top_items(shelf, np.eye(4)[[0, 0]], [np.array([7]), np.array([], int)], 3, NO_BOUND, prior)
    assert found.items.tolist() == [[99, 50, 0], [0, 1, 2]]
    assert found.prior.tolist() == [[0.5, 0.25, 0], [0, 0, 0]]
    assert found.scores.tolist() == [[1.5, 1.25, 1], [1, 1, 1]]


def test_only_candidates_that_are_offered_and_unseen() -> None:
    case = make_case("random", 8, 4, 40, 40, "softmax", prior_scale=20.0)
    offered = np.arange(40) % 3 > 0
    candidates = [np.array([5, 4, 3, 2, 2]), None, np.array([], int), np.arange(40)]
    found = top_items(
        case.shelf, case.users, case.seen, 40, NO_BOUND, case.prior, candidates=candidates, offered=offered
    )
    only = [set(range(40)) if c is None else set(c.tolist()) for c in candidates]
    unseen = [(only[user] & set(np.flatnonzero(offered).tolist())) - set(case.seen[user].tolist()) for user in range(4)]
    assert unseen[2] == set()
    everything, _ = brute_force(case)
    assert listed(found.items, found.items) == [
        [item for item in everything[user] if item in unseen[user]] for user in range(4)
    ]
    assert any(len(left) < len(all_of) for left, all_of in zip(unseen, everything, strict=True))


@pytest.mark.parametrize("block_bytes", [1, NO_BOUND])
def test_candidates_stay_with_their_user_whatever_the_blocks(block_bytes: int) -> None:
    case = make_case("tied", 9, 3, 30, 4, "max")
    nothing_seen = replace(case, seen=[np.array([], int)] * 3)
    candidates = [np.array([7]), np.array([29, 11]), None]
    found = top_items(case.shelf, case.users, nothing_seen.seen, 4, block_bytes, case.prior, candidates=candidates)
    assert set(found.items[0].tolist()) == {7, -1}
    assert set(found.items[1].tolist()) == {11, 29, -1}
    assert found.items[2].tolist() == brute_force(nothing_seen)[0][2]


def test_shelf_pads_ragged_personas() -> None:
    vectors = np.eye(4, dtype=np.float32)
    shelf = Shelf.build(
        np.array(["capo", "strap", "strap", "tuner"]), vectors, {"capo": 0.1, "strap": 0.2, "tuner": 0.3}, 0.1, "max"
    )
    assert shelf.item_ids.tolist() == ["capo", "strap", "tuner"]
    assert shelf.slots.tolist() == [[0, 0], [1, 2], [3, 0]]
    assert shelf.filled.tolist() == [[True, False], [True, True], [True, False]]
    assert shelf.popularity.tolist() == [0.1, 0.2, 0.3]
