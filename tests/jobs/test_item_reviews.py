"""The job `item_reviews` on the shop: every item has its reviews counted and its evidence whole."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from helpers import Row, put, shop
from one_run import kept, opened, without, written

from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_an_item_keeps_what_was_said_of_it(warehouse: Warehouse, spark: "SparkSession") -> None:
    items = shop()["items"]
    put(warehouse, "items", [*items, {**items[0], "item_id": "metronome"}])
    run = opened(without(warehouse, "item_reviews"))
    assert written(run.do("item_reviews")) == {"item_reviews": (6, 0, 0)}
    found = {row["item_id"]: row for row in kept(warehouse, "item_reviews")}
    strap = found["strap"]
    assert (strap["review_count"], strap["mean_rating"]) == (2, 5.0)
    assert strap["last_reviewed_at"] == datetime(2024, 6, 2, 12, tzinfo=UTC)
    # Ana says a word more than ben.
    assert [(told["review_id"], told["user_id"]) for told in strap["evidence"]] == [
        ("ana-strap", "ana"),
        ("ben-strap", "ben"),
    ]
    assert strap["evidence"][0]["text"] == "Wide and padded, my shoulder does not hurt after a three hour gig."
    assert found["picks"]["mean_rating"] == 3.0
    nothing: Row = {"review_count": 0, "mean_rating": None, "last_reviewed_at": None, "evidence": []}
    assert found["metronome"] == {"item_id": "metronome", **nothing}
    run.again("item_reviews")


def test_evidence_is_bounded_and_the_count_is_not(warehouse: Warehouse, spark: "SparkSession") -> None:
    silent = [{**row, "text": "" if row["item_id"] == "capo" else row["text"]} for row in shop()["reviews"]]
    put(warehouse, "reviews", silent)
    opened(warehouse, item_reviews={"max_reviews": 1}).do("item_reviews")
    found = {row["item_id"]: row for row in kept(warehouse, "item_reviews")}
    assert [told["review_id"] for told in found["strap"]["evidence"]] == ["ana-strap"]
    assert found["strap"]["review_count"] == found["capo"]["review_count"] == 2
    assert found["capo"]["evidence"] == []
