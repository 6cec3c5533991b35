"""The collaborative prior: similarities scaled to one, what a history makes of them, and items nobody knows."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from checkerboard import ITEMS, USERS, best_new_item, checkerboard, missing
from helpers import put, shop
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from persona_pipeline.collaborative.ease import EaseConfig, fit_ease
from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.cf_prior import Prior, liked_interactions
from persona_pipeline.warehouse import Warehouse

# Two met a then b, one b then c; all on one day.
MET = Interactions.build(["ana", "ana", "ben", "ben", "cleo", "cleo"], ["a", "b", "a", "b", "b", "c"], [0] * 6, ["z"])


def settings_of(prior: str, **more: float) -> EncodersConfig:
    return EncodersConfig.model_validate({"prior": prior, "age_half_life_days": 0, **more})


def test_prox_knn_by_hand() -> None:
    found = Prior.fit(MET, settings_of("prox_knn"))
    assert found.item_ids.tolist() == ["a", "b", "c", "z"]
    # Together / (sqrt of the people of both + 5): a, b 2 / (sqrt 6 + 5); b, c 1 / (sqrt 3 + 5). Largest of rows: ab, ab, bc.
    ab, bc = 2 / (6**0.5 + 5), 1 / (3**0.5 + 5)
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = ab
    expected[1, 2] = expected[2, 1] = bc
    np.testing.assert_allclose(found.similarities.toarray(), expected / ((ab + ab + bc) / 3))


def test_ease_loses_what_is_negative() -> None:
    raw = fit_ease(MET, EaseConfig()).similarities
    assert isinstance(raw, np.ndarray)
    assert raw[0, 2] < 0  # a and c each go with b, never with one another
    assert Prior.fit(MET, settings_of("ease")).similarities.toarray()[0].nonzero()[0].tolist() == [1]


def test_ease_is_scaled_and_keeps_colours_apart() -> None:
    found = Prior.fit(checkerboard(), settings_of("ease")).similarities
    np.testing.assert_allclose(found.max(axis=1).toarray().mean(), 1)
    colours = np.arange(ITEMS) % 2
    assert not found.toarray()[colours[:, None] != colours].any()


@pytest.mark.parametrize("prior", ["prox_knn", "ease"])
def test_the_missing_item_of_the_checkerboard_comes_first(prior: str) -> None:
    world = checkerboard()
    found = Prior.fit(world, settings_of(prior))
    met = pa.array(world.item_ids[world.items], pa.string())
    histories = found.histories(world.users, met, np.ones(len(world)), USERS)
    scores = (histories @ found.onto(world.item_ids)).toarray()
    assert best_new_item(scores).tolist() == [missing(user) for user in range(USERS)]


def test_only_the_nearest_are_kept() -> None:
    found = Prior.fit(checkerboard(), settings_of("prox_knn", prior_neighbours=2))
    assert set(np.diff(found.similarities.indptr).tolist()) == {2}


def test_old_interactions_count_less() -> None:
    # b with a yesterday, b with c two half-lives before.
    met = Interactions.build(["ana", "ana", "ben", "ben"], ["b", "c", "a", "b"], [0, 0, 200, 200])
    ageless = Prior.fit(met, settings_of("prox_knn")).similarities.toarray()[1]
    aged = Prior.fit(met, settings_of("prox_knn", age_half_life_days=100)).similarities.toarray()[1]
    assert ageless[0] == ageless[2]
    assert aged[0] > 2 * aged[2] > 0


@pytest.mark.parametrize("prior", ["none", "prox_knn", "ease"])
def test_nothing_to_learn_from_is_no_prior(prior: str) -> None:
    found = Prior.fit(Interactions.build([], [], []), settings_of(prior))
    assert found.similarities.shape == (0, 0)
    histories = found.histories(np.array([0, 0]), pa.array(["a", "b"]), np.array([1.0, 1.0]), 2)
    assert (histories @ found.onto(np.array(["a", "b"]))).toarray().tolist() == [[0, 0], [0, 0]]


def test_nobody_met_two_items() -> None:
    found = Prior.fit(Interactions.build(["ana", "ben"], ["a", "b"], [0, 0]), settings_of("prox_knn"))
    assert found.similarities.toarray().tolist() == [[0, 0], [0, 0]]


def test_onto_other_items_by_hand() -> None:
    prior = Prior(np.array(["a", "b", "c"]), csr_array(np.array([[0, 1.0, 2], [3, 0, 4], [5, 6, 0]])))
    assert prior.onto(np.array(["c", "new", "a", "a"])).toarray().tolist() == [[2, 0, 0, 0], [4, 0, 3, 3], [0, 0, 5, 5]]
    assert prior.onto(np.array(["new"])).toarray().tolist() == [[0], [0], [0]]


def test_histories_by_hand() -> None:
    prior = Prior(np.array(["a", "b"]), csr_array((2, 2)))
    owners = np.array([0, 0, 1, 2, 2, 2])
    items = pa.array(["a", "b", "new", "b", "new", "b"])
    found = prior.histories(owners, items, np.array([3.0, 1, 7, 0.1, 0.2, 0.1]), 4)
    # The second user met nothing known, the fourth nothing at all; an unknown item keeps its part of the weight.
    np.testing.assert_allclose(found.toarray(), np.array([[3, 1], [0, 0], [0, 2], [0, 0]]) / 4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.floats(0.1, 9)), min_size=1, max_size=12))
def test_histories_are_shares_in_any_scale(met: list[tuple[int, int, float]]) -> None:
    prior = Prior(np.array([str(n) for n in range(5)]), csr_array((5, 5)))
    owners, places, weights = (np.array(column) for column in zip(*met, strict=True))
    items = pa.array([str(n) for n in places])
    found = prior.histories(owners, items, weights, 4).toarray()
    np.testing.assert_allclose(found.sum(1), np.isin(np.arange(4), owners))
    np.testing.assert_allclose(prior.histories(owners, items, weights * 2.0**owners, 4).toarray(), found)


def test_liked_interactions_are_in_time_order(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    put(warehouse, "reviews", shop()["reviews"])
    found = liked_interactions(warehouse, 4.0)
    mine = found.users == found.user_ids.tolist().index("ana")
    assert found.item_ids[found.items[mine]].tolist() == ["strap", "tuner", "strings"]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert found.days[mine].tolist() == [(datetime(2024, 6, d, tzinfo=UTC) - epoch).days for d in (1, 5, 20)]
    assert len(found) == 9  # ben's two stars for the picks
    assert len(liked_interactions(warehouse, 2.0)) == 10


def test_ties_go_by_the_order_of_the_input(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    rows = shop()["reviews"]
    for line, row in enumerate(reversed(rows)):
        row.update(reviewed_at=rows[0]["reviewed_at"], source_line=line)
    put(warehouse, "reviews", rows)
    found = liked_interactions(warehouse, 2.0)
    mine = found.users == found.user_ids.tolist().index("ana")
    assert found.item_ids[found.items[mine]].tolist() == ["strings", "tuner", "strap"]


def test_what_was_bought_is_liked_by_its_weight_and_what_was_sent_back_is_not(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    put(warehouse, "reviews", shop()["reviews"])
    did = [("ana", "capo", 0.5, 3), ("ana", "picks", -1.0, 4), ("ben", "picks", 1.0, 5), ("eve", "strap", 1.0, 6)]
    put(warehouse, "interactions", [
        {"interaction_id": f"event:{n}", "user_id": user, "item_id": item, "kind": "k", "weight": weight,
         "occurred_at": datetime(2024, 6, day, tzinfo=UTC), "source_file": "e", "source_line": n}
        for n, (user, item, weight, day) in enumerate(did)
    ])  # fmt: skip
    found = liked_interactions(warehouse, 4.0)
    ana = found.users == found.user_ids.tolist().index("ana")
    assert found.item_ids[found.items[ana]].tolist() == ["strap", "capo", "tuner", "strings"]
    assert found.strengths[ana].tolist() == [1.0, 0.5, 1.0, 1.0]
    ben = found.users == found.user_ids.tolist().index("ben")
    assert "picks" not in found.item_ids[found.items[ben]]  # of which he wrote two stars' worth
    assert found.user_ids[-1] == "eve"
