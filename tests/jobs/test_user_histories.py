"""The job `user_histories` on the shop: what everybody did, newest first."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from helpers import put, shop
from one_run import kept, opened, without, written

from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_history_is_newest_first_and_keeps_what_was_disliked(warehouse: Warehouse, spark: "SparkSession") -> None:
    run = opened(without(warehouse, "user_histories"))
    assert written(run.do("user_histories")) == {"user_histories": (4, 0, 0)}
    found = {row["user_id"]: row for row in kept(warehouse, "user_histories")}
    ben = found["ben"]
    assert [(met["review_id"], met["rating"]) for met in ben["interactions"]] == [
        ("ben-capo", 5.0),
        ("ben-picks", 2.0),
        ("ben-strap", 5.0),
    ]
    assert ben["interactions"][0]["reviewed_at"] == datetime(2024, 6, 9, 12, tzinfo=UTC)
    assert (ben["interaction_count"], ben["reviewed_item_ids"]) == (3, ["capo", "picks", "strap"])
    assert sorted(found) == ["ana", "ben", "cleo", "dan"]
    run.again("user_histories")


def test_a_short_history_still_knows_what_was_reviewed(warehouse: Warehouse, spark: "SparkSession") -> None:
    mine = [row for row in shop()["reviews"] if row["user_id"] != "dan"]
    put(warehouse, "reviews", mine)
    summary = opened(warehouse, user_histories={"length": 1}).do("user_histories")
    # Of ana and ben, who did more, there is less; dan is gone; cleo had two and keeps one.
    assert written(summary) == {"user_histories": (0, 3, 1)}
    ana, *_ = kept(warehouse, "user_histories")
    assert [met["item_id"] for met in ana["interactions"]] == ["strings"]
    assert (ana["interaction_count"], ana["reviewed_item_ids"]) == (3, ["strap", "strings", "tuner"])
