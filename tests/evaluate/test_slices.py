"""Who is in which slice."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.evaluate.metrics import RelevantItems
from persona_pipeline.evaluate.slices import make_slices

COUNTS = st.lists(st.integers(0, 9), min_size=1, max_size=40).map(np.array)


def one_each(items: list[int]) -> RelevantItems:
    return RelevantItems(np.array(items), np.arange(len(items) + 1))


def test_by_hand() -> None:
    """Ten users of whom three have the least, ten items of whom two were never seen."""
    users = np.array([1, 1, 1, 2, 3, 4, 5, 6, 9, 9])
    items = np.array([0, 0, 1, 2, 2, 3, 4, 7, 8, 8])
    slices = make_slices(one_each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), users, items)
    members = {name: np.flatnonzero(part.users).tolist() for name, part in slices.items()}
    assert members == {
        "all": list(range(10)),
        "cold": [0, 1, 2],  # the threshold 1 is shared by three
        "warm": [8, 9],
        "tail_p20": [0, 1],
        "head_p80": [8, 9],
        "tail_80": list(range(8)),
    }
    assert all((part.targets == part.users).all() for name, part in slices.items() if "_" in name)


def test_equals_are_parted_by_index_in_tail_80_alone() -> None:
    slices = make_slices(one_each([0, 1, 2, 3, 4]), np.ones(5), np.full(5, 3))
    assert slices["tail_80"].users.tolist() == [True, True, True, True, False]
    assert all(part.users.all() for name, part in slices.items() if name != "tail_80")


def test_a_user_counts_by_tail_targets_alone() -> None:
    truth = RelevantItems(np.array([0, 4, 4, 1]), np.array([0, 2, 3, 4]))
    slices = make_slices(truth, np.array([2, 1, 1]), np.array([0, 1, 2, 3, 50]))
    assert slices["tail_80"].users.tolist() == [True, False, True]
    assert slices["tail_80"].targets.tolist() == [True, False, False, True]
    assert truth.only(slices["tail_80"].targets).sizes.tolist() == [1, 0, 1]
    assert slices["cold"].targets.all()


@given(COUNTS, COUNTS)
def test_the_percentiles_are_numpys(users: np.ndarray, items: np.ndarray) -> None:
    """Compared where float rounding cannot move numpy's own threshold across a count."""
    truth = one_each([user % len(items) for user in range(len(users))])
    slices = make_slices(truth, users, items)
    targeted = items[truth.items]
    assert (slices["cold"].users == (users <= np.percentile(users, 20) + 1e-9)).all()
    assert (slices["warm"].users == (users >= np.percentile(users, 80) - 1e-9)).all()
    assert (slices["tail_p20"].users == (targeted <= np.percentile(items, 20) + 1e-9)).all()
    assert (slices["head_p80"].users == (targeted >= np.percentile(items, 80) - 1e-9)).all()


@given(COUNTS)
def test_four_fifths_of_the_catalogue_are_tail(items: np.ndarray) -> None:
    tail = make_slices(one_each(list(range(len(items)))), np.ones(len(items)), items)["tail_80"].users
    assert tail.sum() == len(items) * 4 // 5
    assert not tail.any() or tail.all() or items[tail].max() <= items[~tail].min()
