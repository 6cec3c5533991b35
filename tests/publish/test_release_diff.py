"""Changes planted one by one: each is found, with its cause, and causes add up."""

from datetime import UTC, datetime
from typing import Any

import pytest
from helpers import AS_OF, Row, put, shop
from publishing import TONIGHT, run

from persona_pipeline.publish.release_diff import CAUSES, CHANGES, ReleaseDiff, release_diff
from persona_pipeline.publish.releases import Release, release_of
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.warehouse import Warehouse

Tables = dict[str, list[Row]]


@pytest.fixture
def before(warehouse: Warehouse) -> Release:
    return release_of(run(warehouse, AS_OF))


def compare(warehouse: Warehouse, before: Release, encoder_id: str = "enc1", **changed: list[Row]) -> ReleaseDiff:
    for table, rows in changed.items():
        put(staged_tables(warehouse) if table == "user_item_topk" else warehouse, table, rows)
    found = release_diff(warehouse, before, _with_encoder(release_of(run(warehouse, TONIGHT)), encoder_id))
    assert set(found.rows) == set(CAUSES)
    assert all(set(counts) == set(CHANGES) for counts in found.rows.values())
    return found


def _with_encoder(release: Release, encoder_id: str) -> Release:
    return Release(release.release_id, release.as_of, encoder_id, release.versions)


def said(found: ReleaseDiff) -> dict[str, dict[str, int]]:
    """What is not nothing; `lists` among the changes."""
    told = {
        cause: {**{k: n for k, n in found.rows[cause].items() if n}, "lists": found.lists[cause]} for cause in CAUSES
    }
    return {cause: counts for cause, counts in told.items() if any(counts.values())}


def recommend(rows: list[Row], user: str, rank: int, **values: Any) -> list[Row]:
    return [{**row, **values} if (row["user_id"], row["rank"]) == (user, rank) else row for row in rows]


def test_the_same_lists_have_no_churn(warehouse: Warehouse, before: Release) -> None:
    found = compare(warehouse, before)
    assert said(found) == {}
    assert found.users == (4, 4)


def test_each_change_has_its_cause(warehouse: Warehouse, before: Release) -> None:
    """ana wrote a review; strap's persona is renamed, and cleo and dan have it first; ben's popularity share moved."""
    tables: Tables = shop()
    lists = recommend(tables["user_item_topk"], "ana", 1, item_id="strings", persona_id="strings-6")
    lists = recommend(lists, "cleo", 1, persona_name="Weekend players")
    dan = [row for row in lists if row["user_id"] == "dan"]
    lists = [row for row in lists if row["user_id"] != "dan"] + [{**dan[0], "rank": 2}, {**dan[1], "rank": 1}]
    shares = [{"kind": "popularity", "review_id": None, "item_id": None, "share": 0.6}]
    lists = recommend(lists, "ben", 1, contributions=shares)
    histories = tables["user_histories"]
    new = {
        "review_id": "ana-picks",
        "item_id": "picks",
        "rating": 5.0,
        "reviewed_at": datetime(2024, 6, 30, tzinfo=UTC),
    }
    histories = [
        {**row, "interactions": [new, *row["interactions"]]} if row["user_id"] == "ana" else row for row in histories
    ]
    personas = [
        {**row, "name": "Weekend players"} if row["item_id"] == "strap" else row for row in tables["item_personas"]
    ]
    found = compare(warehouse, before, user_item_topk=lists, user_histories=histories, item_personas=personas)
    assert said(found) == {
        "reviews": {"added": 1, "removed": 1, "lists": 1},
        # strap moved down at dan's, and capo, of which nothing is new, up for that reason alone
        "personas": {"reworded": 1, "moved": 2, "lists": 2},
        "prior": {"rescored": 1, "lists": 0},
    }
    assert found.users == (4, 4)


def test_the_encoder_comes_after_what_is_nearer(warehouse: Warehouse, before: Release) -> None:
    tables: Tables = shop()
    lists = [{**row, "encoder_id": "enc2", "score": row["score"] + 0.01} for row in tables["user_item_topk"]]
    lists = [row for row in recommend(lists, "ana", 2, item_id="strings") if row["user_id"] != "dan"]
    histories = [{**row, "interactions": []} if row["user_id"] == "ben" else row for row in tables["user_histories"]]
    # Another encoder has other profiles: no news of the items.
    vectors = [{**row, "encoder_id": "enc2", "profile_hash": "q"} for row in tables["persona_vectors"]]
    found = compare(warehouse, before, "enc2", user_item_topk=lists, user_histories=histories, persona_vectors=vectors)
    assert said(found) == {
        "reviews": {"rescored": 2, "lists": 0},
        "encoder": {"added": 1, "removed": 3, "rescored": 3, "lists": 2},
    }
    assert found.users == (4, 3)


def test_what_is_known_of_a_met_item_counts_as_personas(warehouse: Warehouse, before: Release) -> None:
    tables: Tables = shop()
    lists = recommend(tables["user_item_topk"], "ana", 1, score=0.65)
    users = [{**row, "inputs_hash": "other"} if row["user_id"] == "ana" else row for row in tables["user_vectors"]]
    found = compare(warehouse, before, user_item_topk=lists, user_vectors=users)
    assert said(found) == {"personas": {"rescored": 1, "lists": 0}}


def test_a_title_is_another_cause(warehouse: Warehouse, before: Release) -> None:
    found = compare(warehouse, before, user_item_topk=recommend(shop()["user_item_topk"], "ana", 1, item_title="Capo"))
    assert said(found) == {"other": {"reworded": 1, "lists": 1}}
