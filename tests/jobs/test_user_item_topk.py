"""The job `user_item_topk` on the shop: everybody's new items with reasons, beside the published table."""

from datetime import UTC, datetime
from math import log1p
from typing import TYPE_CHECKING

import pytest
from helpers import AS_OF, Row, put, shop
from one_run import kept, opened, without, written

from persona_pipeline.config import EncodersConfig
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.serving.online import Online
from persona_pipeline.serving.table_snapshot import TableSnapshot
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NEW = {
    "ana": {"capo", "picks"},
    "ben": {"strings", "tuner"},
    "cleo": {"picks", "strap", "strings"},
    "dan": {"capo", "strap", "tuner"},
}
"""What nobody has reviewed yet. No room for ten: the shop has five items."""


@pytest.fixture
def ready(warehouse: Warehouse) -> Warehouse:
    """With the vectors of both sides, and no lists yet."""
    run = opened(without(warehouse, "persona_vectors", "user_vectors"))
    run.settle_on("enc1")
    for job in ("persona_vectors", "user_vectors"):
        run.do(job)
    return without(warehouse, "_candidates/user_item_topk")


def lists(warehouse: Warehouse) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in kept(staged_tables(warehouse), "user_item_topk"):
        found.setdefault(row["user_id"], []).append(row)
    return found


def test_lists_hold_what_is_new_with_reasons_that_add_up(ready: Warehouse, spark: "SparkSession") -> None:
    run = opened(ready, user_item_topk={"k": 10, "user_buckets": 2})
    run.settle_on("enc1")
    summary = run.do("user_item_topk")
    assert (summary["items"], summary["personas"]) == (5, 6)
    assert summary["ranked"].startswith("everybody: ")
    assert written(summary) == {"user_item_topk": (10, 0, 0)}
    found = lists(ready)
    assert {user: {row["item_id"] for row in rows} for user, rows in found.items()} == NEW
    settings = EncodersConfig()
    for rows in found.values():
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
        for row in rows:
            assert sum(part["share"] for part in row["contributions"]) == pytest.approx(row["score"], abs=1e-9)
            assert row["persona_id"].startswith(f"{row['item_id']}-")
            assert row["user_bucket"] in (0, 1)
    capo = next(row for row in found["ana"] if row["item_id"] == "capo")
    assert (capo["item_title"], capo["persona_name"], capo["changed_as_of"]) == ("Spring capo", "Quick changers", AS_OF)
    assert "“One hand is enough”" in capo["explanation"]
    # Two liked it, and ana's vector is made of three.
    popular = settings.temperature * settings.popularity_weight * log1p(2) * (1 + settings.popularity_support / 3)
    assert [part["share"] for part in capo["contributions"] if part["kind"] == "popularity"] == [pytest.approx(popular)]
    assert not ready.exists("user_item_topk")  # readers see it when it is published
    run.again("user_item_topk")


def test_whoever_has_a_list_of_candidates_gets_those_alone(ready: Warehouse, spark: "SparkSession") -> None:
    mine = {"user_id": "ana", "score": None}
    put(ready, "candidates", [{**mine, "item_id": "strap", "rank": 1}, {**mine, "item_id": "picks", "rank": 2}])
    run = opened(ready, user_item_topk={"k": 1, "candidates": "only"})
    run.settle_on("enc1")
    run.do("user_item_topk")
    found = lists(ready)
    assert [row["item_id"] for row in found.pop("ana")] == ["picks"]  # the strap she has
    assert {len(rows) for rows in found.values()} == {1}


def test_who_did_things_and_wrote_nothing_gets_a_list_by_personas(warehouse: Warehouse, spark: "SparkSession") -> None:
    did = [("capo", "purchase", 1.0), ("strap", "play", 0.5), ("picks", "return", -1.0)]
    put(warehouse, "interactions", [
        {"interaction_id": f"event:{n}", "user_id": "eve", "item_id": item, "kind": kind, "weight": weight,
         "occurred_at": datetime(2024, 6, 20 - n, tzinfo=UTC), "source_file": "events.csv", "source_line": n}
        for n, (item, kind, weight) in enumerate(did, start=1)
    ])  # fmt: skip
    run = opened(without(warehouse, "persona_vectors", "user_vectors", "_candidates/user_item_topk"))
    run.settle_on("enc1")
    for job in ("user_histories", "persona_vectors", "user_vectors", "user_item_topk"):
        run.do(job)
    (eve,) = (row for row in kept(warehouse, "user_vectors") if row["user_id"] == "eve")
    assert [(met["review_id"], met["item_id"]) for met in eve["interactions"]] == [(None, "capo"), (None, "strap")]
    bought, played = (met["weight"] for met in eve["interactions"])
    assert played / bought == pytest.approx(0.5 * 0.5 ** (1 / 3))  # half as strong, and one older
    found = lists(warehouse)
    assert {user: {row["item_id"] for row in rows} for user, rows in found.items()} == {
        **NEW,
        "eve": {"strings", "tuner"},
    }
    assert {row["recommendation_source"] for row in found["eve"]} == {"persona"}
    for row in found["eve"]:
        shares = {part["item_id"]: part["review_id"] for part in row["contributions"] if part["kind"] == "interaction"}
        assert shares == {"capo": None, "strap": None}
        assert sum(part["share"] for part in row["contributions"]) == pytest.approx(row["score"], abs=1e-9)
        assert "You wrote" not in row["explanation"]
    online = Online(warehouse.root, "enc1", lambda name: TableSnapshot(warehouse.root / name), 9)
    for user in ("eve", "ana"):
        scores = online.scores(user, [row["item_id"] for row in found[user]])
        assert scores.tolist() == [row["score"] for row in found[user]]


def test_rules_of_the_night_hold(ready: Warehouse, spark: "SparkSession") -> None:
    """The strap is away, ana wants nothing of what is Picks, and no list holds two of one maker."""
    items = shop()["items"]
    for row in items:
        row["categories"] = ["Music", "Picks"] if row["item_id"] == "picks" else ["Music"]
        row["creator"] = "Fender" if row["item_id"] in ("tuner", "strings", "picks") else None
        if row["item_id"] == "strap":
            row |= {"available": False, "unavailable_reason": "recalled"}
    put(ready, "items", items)
    put(ready, "blocks", [{"user_id": "ana", "kind": "category", "value": "Picks"}])
    run = opened(ready, user_item_topk={"k": 10, "max_per_creator": 1})
    run.settle_on("enc1")
    summary = run.do("user_item_topk")
    assert (summary["items"], summary["personas"]) == (4, 4)
    found = {user: {row["item_id"] for row in rows} for user, rows in lists(ready).items()}
    assert found["ana"] == {"capo"}
    assert len(found["ben"]) == len(found["cleo"]) == 1  # of strings and tuner, of picks and strings
    assert found["ben"] | found["cleo"] <= {"strings", "tuner", "picks"}
    assert found["dan"] == {"capo", "tuner"}
    run.again("user_item_topk")
