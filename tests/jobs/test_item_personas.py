"""The job `item_personas` on the shop: personas whose words stand in the reviews, and ids that survive the night."""

from datetime import timedelta

import pytest
from helpers import AS_OF, Row, put, shop
from one_run import OneRun, kept, opened, without, written
from publishing import run as publish

from persona_pipeline.warehouse import Warehouse


@pytest.fixture
def first(warehouse: Warehouse) -> Row:
    """What the first night says of itself."""
    return opened(without(warehouse, "item_personas")).do("item_personas")


def tomorrow(warehouse: Warehouse) -> OneRun:
    """The next night, which starts from this one, published."""
    publish(warehouse)
    return opened(warehouse, as_of=AS_OF + timedelta(days=1))


def test_a_persona_rests_on_words_that_were_written(warehouse: Warehouse, first: Row) -> None:
    figures = [first[name] for name in ("items", "extracted", "personas", "retired", "refused")]
    assert figures == [5, 5, 5, 0, 0]
    assert written(first) == {"item_personas": (5, 0, 0), "quarantine": (0, 0, 0)}
    rows = {row["item_id"]: row for row in kept(warehouse, "item_personas")}
    said = {row["review_id"]: row["text"] for row in shop()["reviews"]}
    for row in rows.values():
        assert all(said[told["ref"]][told["start"] : told["end"]] == told["quote"] for told in row["evidence"])
    capo = rows["capo"]
    assert [told["ref"] for told in capo["evidence"]] == ["cleo-capo", "ben-capo"]
    assert (capo["support"], capo["mean_rating"], capo["position"], capo["status"]) == (2, 4.5, 1, "current")
    assert (capo["first_as_of"], capo["extracted_from"]) == (AS_OF, ["ben-capo", "cleo-capo"])
    opened(warehouse).again("item_personas")


def test_the_next_night_asks_only_of_what_changed(warehouse: Warehouse, first: Row) -> None:
    before = {row["item_id"]: row for row in kept(warehouse, "item_personas")}
    assert tomorrow(warehouse).again("item_personas")["extracted"] == 0
    told = "Soft for strumming at home."
    for table in ("reviews", "item_reviews"):
        rows = shop()[table]
        for row in rows:
            for said in row.get("evidence", [row]):
                said["text"] = told if said["review_id"] == "dan-picks" else said["text"]
        put(warehouse, table, rows)
    run = opened(warehouse, as_of=AS_OF + timedelta(days=1))
    summary = run.do("item_personas")
    assert (summary["items"], summary["extracted"]) == (5, 1)
    after = {row["item_id"]: row for row in kept(warehouse, "item_personas") if row["status"] == "current"}
    assert {item for item in before if after[item] != before[item]} == {"picks"}
    assert told in [one["quote"] for one in after["picks"]["evidence"]]
    run.again("item_personas")
