"""Lists under caps are those of a walk over all items, whatever a ranking gives at once."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from persona_pipeline.config import UserItemTopkConfig
from persona_pipeline.score import caps
from persona_pipeline.score.caps import top_under_caps
from persona_pipeline.score.item_groups import ItemGroups, category_at, grouping
from persona_pipeline.score.item_index import TopItems
from persona_pipeline.score.topk._request import nothing_found


class Scored:
    """Ranks by a table of scores, (users, items), and counts how often it is asked and for how many users."""

    def __init__(self, scores: np.ndarray, members: csr_array) -> None:
        self.scores, self.members = scores, members.toarray()
        self.asked: list[int] = []

    def __call__(self, users: np.ndarray, seen: list[np.ndarray], closed: list[np.ndarray], k: int) -> TopItems:
        self.asked.append(len(users))
        found = nothing_found(len(users), k)
        for n, user in enumerate(users):
            scores = self.scores[user].copy()
            scores[seen[n]] = -np.inf
            scores[self.members[:, closed[n]].any(axis=1)] = -np.inf
            order = np.argsort(-scores, kind="stable")[:k]
            order = order[scores[order] > -np.inf]
            found.items[n, : len(order)], found.scores[n, : len(order)] = order, scores[order]
        return found


def walked(scores: np.ndarray, capped: np.ndarray, most: np.ndarray, k: int) -> list[int]:
    """One user's list, by the definition."""
    found: list[int] = []
    for item in np.argsort(-scores, kind="stable").tolist():
        if scores[item] == -np.inf or len(found) == k:
            break
        if all(
            capped[item, cap] < 0 or sum(capped[other, cap] == capped[item, cap] for other in found) < most[cap]
            for cap in range(len(most))
        ):
            found.append(item)
    return found


def catalogue(seed: int, items: int) -> pa.Table:
    """Items of few creators and categories, unevenly spread; some have none."""
    rng = np.random.default_rng(seed)
    creators = [None if n == 9 else f"maker {n}" for n in np.minimum(rng.geometric(0.4, items), 9).tolist()]
    drawn = rng.integers(0, 8, (items, 2)).tolist()
    paths = [["Music", f"Kind {n}", f"Kind {n}.{m}"][: 3 - n % 2] if n < 6 else [] for n, m in drawn]
    ids = [f"i{n:03d}" for n in range(items)]
    schema = pa.schema([("item_id", pa.string()), ("creator", pa.string()), ("categories", pa.list_(pa.string()))])
    return pa.table({"item_id": ids, "creator": creators, "categories": paths}, schema=schema)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    items=st.integers(1, 60),
    k=st.integers(1, 9),
    most=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    level=st.integers(0, 3),
    ties=st.booleans(),
)
def test_lists_under_caps_are_those_of_a_walk(
    seed: int, items: int, k: int, most: tuple[int, int], level: int, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    settings_ = UserItemTopkConfig(max_per_category=most[0], category_level=level, max_per_creator=most[1])
    rows = catalogue(seed, items)
    groups = ItemGroups.of(rows["item_id"].to_numpy(zero_copy_only=False), rows, settings_, ())
    scores = rng.integers(0, 4, (5, items)).astype(float) if ties else rng.random((5, items))
    scores[rng.random((5, items)) < 0.1] = -np.inf
    rank = Scored(scores, groups.members)
    nothing = [np.empty(0, np.int64)] * 5
    found = top_under_caps(rank, groups, nothing, nothing, k)
    for user in range(5):
        expected = walked(scores[user], groups.capped, groups.most, k)
        assert found.items[user].tolist() == (expected + [-1] * k)[:k]
        assert found.scores[user, : len(expected)].tolist() == scores[user, expected].tolist()


def test_only_users_whose_walk_ended_early_are_ranked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first user's best items are of one creator, the second's of as many as there are places."""
    monkeypatch.setattr(caps, "ASKED", 1)
    capped = np.array([[0], [0], [0], [0], [1], [2], [3]])
    groups = ItemGroups(pa.array(["a", "b", "c", "d"]), csr_array(capped == np.arange(4)), capped, np.array([1]))
    scores = np.array([[9, 8, 7, 6, 3, 2, 1], [9, 3, 2, 1, 8, 7, 6]], float)
    rank = Scored(scores, groups.members)
    nothing = [np.empty(0, np.int64)] * 2
    found = top_under_caps(rank, groups, nothing, nothing, 3)
    assert found.items.tolist() == [[0, 4, 5], [0, 4, 5]]
    assert rank.asked == [2, 1]
    assert nothing[0].shape == (0,)  # what was given is left as it was


def test_a_shop_of_one_creator_ends_after_two_rankings() -> None:
    """Nothing can fill the list: what is full is left out as a whole, not item by item."""
    capped = np.zeros((500, 1), np.int64)
    groups = ItemGroups(pa.array(["a"]), csr_array(np.ones((500, 1), bool)), capped, np.array([2]))
    rank = Scored(np.random.default_rng(0).random((3, 500)), groups.members)
    nothing = [np.empty(0, np.int64)] * 3
    found = top_under_caps(rank, groups, nothing, nothing, 10)
    assert (found.items >= 0).sum(1).tolist() == [2, 2, 2]
    assert rank.asked == [3, 3]  # not until 500 items have been gone through


def test_an_item_is_in_the_groups_of_its_creator_and_of_all_its_categories() -> None:
    rows = pa.table(
        {
            "item_id": ["b", "a", "c"],
            "creator": ["Fender", None, ""],
            "categories": pa.array([["Music", "Picks"], ["Music"], []], pa.list_(pa.string())),
        }
    )
    ids = np.array(["a", "b", "c", "unknown"])
    groups = ItemGroups.of(ids, rows, UserItemTopkConfig(max_per_category=2), ("creator", "category"))
    names = groups.names.to_pylist()
    told = [{names[code] for code in np.flatnonzero(row)} for row in groups.members.toarray()]
    assert told == [
        {"category\x1fMusic", "capped category\x1fMusic"},
        {"creator\x1fFender", "category\x1fMusic", "category\x1fPicks", "capped category\x1fPicks"},
        set(),
        set(),
    ]
    assert [names[code] if code >= 0 else None for code in groups.capped[:, 0]] == [
        "capped category\x1fMusic", "capped category\x1fPicks", None, None,
    ]  # fmt: skip
    assert groups.most.tolist() == [2]
    blocked = pa.array([["creator\x1fFender", "creator\x1fGibson"], None, []], pa.list_(pa.string()))
    assert [[names[code] for code in codes] for codes in groups.closed(blocked)] == [["creator\x1fFender"], [], []]
    assert groups.part(1, 2).capped.tolist() == groups.capped[1:2].tolist()


def test_a_category_at_a_level() -> None:
    lists = pa.array([["Music", "Guitars", "Straps"], ["Music"], [], None], pa.list_(pa.string()))
    assert category_at(lists, 0).to_pylist() == ["Straps", "Music", None, None]
    assert category_at(lists, 1).to_pylist() == ["Music", "Music", None, None]
    assert category_at(lists, 2).to_pylist() == ["Guitars", "Music", None, None]
    assert category_at(lists, 9).to_pylist() == ["Straps", "Music", None, None]


def test_items_whose_groups_changed_are_told_apart() -> None:
    before, settings_ = catalogue(1, 40), UserItemTopkConfig(max_per_creator=1)
    moved = before.set_column(1, "creator", pa.array(["Fender", *before["creator"].to_pylist()[1:]]))
    recategorised = before.set_column(2, "categories", pa.array([["Other"], *before["categories"].to_pylist()[1:]]))

    def differing(rows: pa.Table, blocked: tuple[str, ...] = ()) -> list[str]:
        then, now = (grouping(table, settings_, blocked).to_pylist() for table in (before, rows))
        return [row["item_id"] for row, other in zip(now, then, strict=True) if row != other]

    assert differing(before) == []
    assert differing(moved) == ["i000"]
    assert differing(recategorised) == []  # nobody asks about categories
    assert differing(recategorised, ("category",)) == ["i000"]
