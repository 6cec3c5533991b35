"""The job `default_topk` on the shop: what most liked, beside the published table."""

from datetime import timedelta

import pytest
from helpers import AS_OF, Row, put, shop
from one_run import OneRun, kept, opened, written
from publishing import run as publish

from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.warehouse import Warehouse


def tonight(warehouse: Warehouse, days: int = 0, k: int = 4) -> OneRun:
    run = opened(warehouse, as_of=AS_OF + timedelta(days=days), user_item_topk={"k": k})
    run.settle_on("enc1")
    return run


def test_what_most_liked_comes_first(warehouse: Warehouse) -> None:
    run = tonight(warehouse)
    assert written(run.do("default_topk")) == {"default_topk": (2, 2, 0)}
    rows = kept(staged_tables(warehouse), "default_topk")
    # Two liked each; the picks, which one liked, are the fifth.
    assert [(row["rank"], row["item_id"], row["item_title"]) for row in rows] == [
        (1, "capo", "Spring capo"),
        (2, "strap", "Padded guitar strap"),
        (3, "strings", "Bronze strings"),  # no title: what it is instead
        (4, "tuner", "Clip-on tuner"),
    ]
    assert {row["score"] for row in rows} == {1.098612289}  # ln 3
    strap = rows[1]
    assert (strap["persona_id"], strap["persona_name"]) == ("strap-1", "Gigging players")
    assert strap["explanation"] == "It suits gigging players: “my shoulder does not hurt”"
    assert (strap["encoder_id"], strap["changed_as_of"]) == ("enc1", AS_OF)
    assert not warehouse.exists("default_topk")  # readers see it when it is published
    run.again("default_topk")


def test_a_row_as_yesterdays_keeps_its_date(warehouse: Warehouse) -> None:
    tonight(warehouse).do("default_topk")
    publish(warehouse)
    renamed: list[Row] = [
        {**row, "name": "Hurried"} if row["item_id"] == "capo" else row for row in shop()["item_personas"]
    ]
    put(warehouse, "item_personas", renamed)
    tonight(warehouse, days=1).do("default_topk")
    days = {row["item_id"]: row["changed_as_of"] for row in kept(staged_tables(warehouse), "default_topk")}
    assert days == {"capo": AS_OF + timedelta(days=1), **dict.fromkeys(("strap", "strings", "tuner"), AS_OF)}


@pytest.mark.parametrize("change", [{"stance": "dislikes"}, {"status": "retired"}, {"position": 2}])
def test_an_item_that_nobody_speaks_for_is_left_out(warehouse: Warehouse, change: Row) -> None:
    put(
        warehouse,
        "item_personas",
        [{**row, **change} if row["item_id"] == "capo" else row for row in shop()["item_personas"]],
    )
    tonight(warehouse).do("default_topk")
    rows = kept(staged_tables(warehouse), "default_topk")
    assert [row["item_id"] for row in rows] == ["strap", "strings", "tuner", "picks"]
