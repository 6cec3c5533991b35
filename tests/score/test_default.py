"""Recommendations for anyone: popular items, their most supported persona, and rows that change only when they must."""

import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from helpers import AS_OF, BASE_MODEL, put, shop

from persona_pipeline.config import EncodersConfig, UserItemTopkConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.score.default import default_topk
from persona_pipeline.warehouse import Warehouse

TONIGHT = date(2024, 7, 1)
COUNTS = {"capo": 2, "picks": 1, "strap": 9, "strings": 2, "tuner": 2, "discontinued": 50}


def encoder(counts: dict[str, int]) -> Encoder:
    return Encoder("enc1", BASE_MODEL, "1", np.eye(2), np.eye(2), counts, Prior.none(), EncodersConfig(), "digest")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    found = Warehouse(tmp_path)
    for table in ("items", "item_personas", "item_summaries"):
        put(found, table, shop()[table])
    return found


def test_popular_first_and_ties_by_item(warehouse: Warehouse) -> None:
    rows = default_topk(warehouse, encoder(COUNTS), UserItemTopkConfig(k=4), AS_OF, None).to_pylist()
    assert [(row["rank"], row["item_id"]) for row in rows] == [(1, "strap"), (2, "capo"), (3, "strings"), (4, "tuner")]
    assert [row["score"] for row in rows] == [round(math.log(1 + COUNTS[row["item_id"]]), 9) for row in rows]
    assert {row["recommendation_source"] for row in rows} == {"default"}


def test_rows_tell_the_first_persona_and_quote_it(warehouse: Warehouse) -> None:
    first = default_topk(warehouse, encoder(COUNTS), UserItemTopkConfig(k=1), AS_OF, None).to_pylist()[0]
    assert first["persona_id"] == "strap-1"
    assert first["explanation"] == "It suits gigging players: “my shoulder does not hurt”"
    assert first["evidence"] == shop()["item_personas"][0]["evidence"]


def test_where_nothing_can_be_said_its_popularity_is_the_reason(warehouse: Warehouse) -> None:
    personas = shop()["item_personas"]
    personas[0]["persona_source"] = "quotes"  # whose stance is likes: praise
    put(warehouse, "item_personas", personas)
    first = default_topk(warehouse, encoder(COUNTS), UserItemTopkConfig(k=1), AS_OF, None).to_pylist()[0]
    assert first["explanation"] == "Many people like it. Reviewers write: “my shoulder does not hurt”"


def test_nobody_who_dislikes_it_opens_the_list(warehouse: Warehouse) -> None:
    personas = shop()["item_personas"]
    personas[0]["stance"] = "dislikes"
    put(warehouse, "item_personas", personas)
    assert (
        "strap-1"
        not in default_topk(warehouse, encoder(COUNTS), UserItemTopkConfig(k=4), AS_OF, None)["persona_id"].to_pylist()
    )


def test_title_falls_back_to_the_summary(warehouse: Warehouse) -> None:
    titles = {
        row["item_id"]: row["item_title"]
        for row in default_topk(warehouse, encoder(COUNTS), UserItemTopkConfig(k=9), AS_OF, None).to_pylist()
    }
    assert titles == {
        "strap": "Padded guitar strap",
        "capo": "Spring capo",
        "strings": "Bronze strings",
        "tuner": "Clip-on tuner",
        "picks": "Nylon picks, pack of 12",
    }


def test_items_without_a_current_persona_are_left_out(warehouse: Warehouse) -> None:
    personas = shop()["item_personas"]
    for row in personas[:2]:
        row.update(status="retired", position=0, retired_as_of=AS_OF)
    put(warehouse, "item_personas", personas)
    rows = default_topk(warehouse, encoder(COUNTS), UserItemTopkConfig(k=9), AS_OF, None).to_pylist()
    assert [row["item_id"] for row in rows] == ["capo", "strings", "tuner", "picks"]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]


def test_rows_conform_to_the_contract(warehouse: Warehouse) -> None:
    rows = default_topk(warehouse, encoder(COUNTS), UserItemTopkConfig(k=3), AS_OF, None)
    conformed = load_contract("default_topk").conform(rows)
    assert (conformed.schema, conformed.num_rows) == (load_contract("default_topk").arrow_schema(), 3)


def test_only_rows_that_differ_from_the_parents_change(warehouse: Warehouse) -> None:
    warehouse.replace("default_topk", default_topk(warehouse, encoder(COUNTS), UserItemTopkConfig(k=3), AS_OF, None))
    parent = warehouse.version("default_topk")
    same = default_topk(warehouse, encoder(COUNTS), UserItemTopkConfig(k=3), TONIGHT, parent).to_pylist()
    assert {row["changed_as_of"] for row in same} == {AS_OF}

    more = default_topk(warehouse, encoder({**COUNTS, "capo": 3}), UserItemTopkConfig(k=3), TONIGHT, parent).to_pylist()
    assert [row["changed_as_of"] for row in more] == [AS_OF, TONIGHT, AS_OF]

    longer = default_topk(warehouse, encoder(COUNTS), UserItemTopkConfig(k=4), TONIGHT, parent).to_pylist()
    assert [row["changed_as_of"] for row in longer] == [AS_OF, AS_OF, AS_OF, TONIGHT]


def test_what_may_not_be_recommended_makes_room(warehouse: Warehouse) -> None:
    items = shop()["items"]
    items[2] |= {"available": False, "unavailable_reason": "delisted"}
    put(warehouse, "items", items)
    rows = default_topk(warehouse, encoder(COUNTS), UserItemTopkConfig(k=3), AS_OF, None).to_pylist()
    assert [(row["rank"], row["item_id"]) for row in rows] == [(1, "capo"), (2, "strings"), (3, "tuner")]


def test_a_category_that_is_full_is_skipped(warehouse: Warehouse) -> None:
    items, kinds = shop()["items"], {"strap": "Comfort", "capo": "Comfort", "picks": "Picks"}
    for row in items:
        row["categories"] = ["Music", kinds.get(row["item_id"], "Gear")]
    put(warehouse, "items", items)

    def listed(**caps: int) -> list[str]:
        settings = UserItemTopkConfig.model_validate({"k": 4, **caps})
        rows = default_topk(warehouse, encoder(COUNTS), settings, AS_OF, None).to_pylist()
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["item_id"] for row in rows]

    assert listed() == ["strap", "capo", "strings", "tuner"]
    assert listed(max_per_category=1) == ["strap", "strings", "picks"]
    assert listed(max_per_category=2, category_level=1) == ["strap", "capo"]
    assert listed(max_per_creator=1) == listed()  # nobody knows who makes them
