"""Metrics by hand, against a slow plain one, and what must hold of any list."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from persona_pipeline.evaluate.metrics import RelevantItems, average_popularity, coverage, per_user, top_lists

CUTOFFS = (1, 3, 5)
ITEMS = 8


def truth_of(*wanted: list[int]) -> RelevantItems:
    flat = np.array([item for items in wanted for item in items], dtype=np.int64)
    return RelevantItems(flat, np.cumsum([0, *(len(items) for items in wanted)]))


def slow(ranked: list[int], wanted: list[int], k: int) -> dict[str, float]:
    """Metrics of one list, as a textbook writes them."""
    places = [place for place, item in enumerate(ranked[:k], start=1) if item in wanted]
    ideal = sum(1 / math.log2(1 + place) for place in range(1, min(k, len(wanted)) + 1))
    return {
        f"hit@{k}": float(bool(places)),
        f"mrr@{k}": 1 / places[0] if places else 0.0,
        f"ndcg@{k}": sum(1 / math.log2(1 + place) for place in places) / ideal,
        f"recall@{k}": len(places) / len(wanted),
        f"precision@{k}": len(places) / k,
    }


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]]]:
    """Lists of 6 places with holes anywhere, and one to four targets, of some users."""
    users = draw(st.integers(1, 6))
    order = st.permutations(range(ITEMS))
    holes = st.lists(st.booleans(), min_size=6, max_size=6)
    ranked = [
        [-1 if hole else item for item, hole in zip(draw(order), draw(holes), strict=False)] for _ in range(users)
    ]
    wanted = [draw(st.lists(st.integers(0, ITEMS), min_size=1, max_size=4, unique=True)) for _ in range(users)]
    return ranked, wanted


@given(cases())
def test_as_a_plain_one(case: tuple[list[list[int]], list[list[int]]]) -> None:
    ranked, wanted = case
    found = per_user(np.array(ranked), truth_of(*wanted), CUTOFFS)
    for user, (items, targets) in enumerate(zip(ranked, wanted, strict=True)):
        expected = {name: value for k in CUTOFFS for name, value in slow(items, targets, k).items()}
        assert {name: values[user] for name, values in found.items()} == pytest.approx(expected)


@given(cases())
def test_what_holds_of_any_list(case: tuple[list[list[int]], list[list[int]]]) -> None:
    ranked, truth = np.array(case[0]), truth_of(*case[1])
    found = per_user(ranked, truth, CUTOFFS)
    assert all(((values >= 0) & (values <= 1)).all() for values in found.values())
    for name in ("hit", "mrr", "recall"):
        assert (found[f"{name}@1"] <= found[f"{name}@3"]).all()
        assert (found[f"{name}@3"] <= found[f"{name}@5"]).all()
    padded = np.pad(ranked, ((0, 0), (0, 3)), constant_values=-1)
    assert all((values == found[name]).all() for name, values in per_user(padded, truth, CUTOFFS).items())


@given(cases(), st.randoms(use_true_random=False))
def test_users_are_judged_alone(case: tuple[list[list[int]], list[list[int]]], random: Any) -> None:
    ranked, wanted = case
    order = list(range(len(ranked)))
    random.shuffle(order)
    found = per_user(np.array(ranked), truth_of(*wanted), CUTOFFS)
    moved = per_user(np.array(ranked)[order], truth_of(*(wanted[user] for user in order)), CUTOFFS)
    assert all((values[order] == moved[name]).all() for name, values in found.items())


def test_by_hand() -> None:
    ranked = np.array([[4, 2, 9, 7, 1], [-1, 3, -1, -1, -1], [0, 1, 2, 3, 4]])
    found = per_user(ranked, truth_of([2, 7, 8], [3], [9]), CUTOFFS)
    assert found["hit@1"].tolist() == [0, 0, 0]
    assert found["hit@3"].tolist() == [1, 1, 0]
    assert found["mrr@5"].tolist() == [1 / 2, 1 / 2, 0]
    assert found["recall@5"].tolist() == [2 / 3, 1, 0]
    assert found["precision@5"].tolist() == [2 / 5, 1 / 5, 0]
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert found["ndcg@5"] == pytest.approx([(1 / math.log2(3) + 1 / math.log2(5)) / ideal, 1 / math.log2(3), 0])


@pytest.mark.parametrize("targets", [1, 3, 7])
def test_a_perfect_list_is_one(targets: int) -> None:
    found = per_user(np.arange(5)[None], truth_of(list(range(targets))), (5,))
    assert found["ndcg@5"] == found["mrr@5"] == found["hit@5"] == 1
    assert found["recall@5"] == min(1, 5 / targets)


@pytest.mark.parametrize(
    ("ranked", "wanted", "fault"),
    [
        ([[1, 2, 1]], [[2]], "item 1 is repeated in the list of user 0"),
        ([[1, 2]], [[2]], "lists of 2 places cannot be judged at 3; pad them with -1"),
        ([[1, 2, 3], [1, 2, 3]], [[2], []], "user 1 has no relevant item"),
        ([[1, 2, 3]], [[2], [1]], "1 lists for 2 users"),
        ([[1, 2, 3]], [[2, 2]], "item 2 is twice among the relevant items of user 0"),
    ],
)
def test_refused(ranked: list[list[int]], wanted: list[list[int]], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        per_user(np.array(ranked), truth_of(*wanted), (3,))


def test_part_of_a_truth() -> None:
    truth = truth_of([5, 6], [7], [8, 9])
    part = truth.only(np.array([False, True, False, True, True]))
    assert (part.items.tolist(), part.offsets.tolist()) == ([6, 8, 9], [0, 1, 1, 3])
    rest = part.of(part.sizes > 0)
    assert (rest.items.tolist(), rest.offsets.tolist()) == ([6, 8, 9], [0, 1, 3])
    with pytest.raises(ValueError, match="offsets must rise from 0"):
        RelevantItems(np.array([1, 2]), np.array([0, 1]))


SCORES = st.lists(
    st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0]), min_size=7, max_size=7), min_size=1, max_size=5
)


@given(SCORES, st.integers(1, 9), st.randoms(use_true_random=False))
def test_top_lists_as_a_full_sort(scores: list[list[float]], k: int, random: Any) -> None:
    """Few distinct scores, so that ties straddle the last place."""
    hidden = [[random.random() < 0.3 for _ in row] for row in scores]
    expected = []
    for row, left_out in zip(scores, hidden, strict=True):
        allowed = [i for i in range(7) if row[i] > -math.inf and not left_out[i]]
        best = sorted(allowed, key=lambda i: (-row[i], i))[:k]
        expected.append(best + [-1] * (k - len(best)))
    given_scores = np.array(scores)
    assert top_lists(given_scores, sparse.csr_array(np.array(hidden)), k).tolist() == expected
    assert top_lists(given_scores, np.nonzero(hidden), k).tolist() == expected
    assert given_scores.tolist() == scores


def test_top_lists_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scores, hidden = rng.integers(0, 5, (11, 9)).astype(np.float32), (np.arange(11), np.arange(11) % 9)
    whole = top_lists(scores, hidden, 4)
    monkeypatch.setattr("persona_pipeline.evaluate.metrics._BLOCK", 20)
    assert (top_lists(scores, hidden, 4) == whole).all()


def test_a_score_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="is not a number"):
        top_lists(np.array([[0.0, math.nan]]), (np.array([], int), np.array([], int)), 1)


def test_of_all_lists_together() -> None:
    ranked = np.array([[0, 2, -1], [2, -1, 0], [-1, -1, -1]])
    assert coverage(ranked, 4) == 0.5
    assert coverage(ranked[:, :1], 4) == 0.5
    assert average_popularity(ranked, np.array([6, 0, 1, 99])) == 3.5
    assert average_popularity(ranked[:, :1], np.array([6, 0, 1, 99])) == 3.5
    assert average_popularity(ranked[2:], np.array([6])) == 0
