"""The job `item_personas` on the shop: personas whose words stand in the reviews, and ids that survive the night."""

import json
from datetime import timedelta
from pathlib import Path

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


def test_ready_made_personas_stand_on_the_reviews_and_the_rest_is_in_quarantine(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    words = next(row["text"] for row in shop()["reviews"] if row["review_id"] == "cleo-capo")
    grounded = {
        "Name": "The Fast Hand",
        "Description": f"They say: {words}",
        "Preference_Rationale": f"For them: {words}",
    }
    another = {
        "Name": "The Curious Cook",
        "Description": "They cook a new recipe every evening.",
        "Preference_Rationale": "Recipes all year.",
    }
    file = tmp_path / "personas.jsonl"
    file.write_text(json.dumps({"item_id": "capo", "personas": [grounded, another]}) + "\n")
    run = opened(without(warehouse, "item_personas"), extraction={"published": str(file)})
    summary = run.do("item_personas")
    assert (summary["items"], summary["refused"]) == (5, 1)
    (capo,) = (row for row in kept(warehouse, "item_personas") if row["item_id"] == "capo")
    assert (capo["name"], capo["persona_source"]) == ("The Fast Hand", "published")
    assert {told["ref"] for told in capo["evidence"]} >= {"cleo-capo"}
    (refused,) = kept(warehouse, "quarantine")
    assert (refused["subject_id"], refused["reason"]) == ("capo", "ungrounded")
    run.again("item_personas")


def test_an_item_of_whose_ready_made_personas_none_stands_is_not_extracted_again(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    cook = {
        "Name": "The Curious Cook",
        "Description": "They cook a new recipe every evening.",
        "Preference_Rationale": "Recipes all year.",
    }
    file = tmp_path / "personas.jsonl"
    file.write_text(json.dumps({"item_id": "capo", "personas": [cook]}) + "\n")
    opened(without(warehouse, "item_personas"), extraction={"published": str(file)}).do("item_personas")
    (capo,) = (row for row in kept(warehouse, "item_personas") if row["item_id"] == "capo")
    assert (capo["persona_source"], capo["extraction_key"] != "") == ("quotes", True)
