"""What is asked again tonight, and what is not: keys change with everything an answer rests on, and with nothing else."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from helpers import AS_OF, Row, arrow, put, shop

from persona_pipeline.extract.pending import (
    items_to_profile,
    items_to_summarise,
    reviews_to_read,
    vanished,
)
from persona_pipeline.warehouse import Warehouse

VERSION = "embedded-1"
INPUTS = ("reviews", "items", "item_reviews", "user_histories", "item_summaries")
Tables = dict[str, list[Row]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs of a night after one on which everything was answered."""
    root = tmp_path_factory.mktemp("answered")
    for table in INPUTS:
        put(Warehouse(root), table, shop()[table])
    answer(Warehouse(root))
    return root


@pytest.fixture
def warehouse(built: Path, tmp_path: Path) -> Warehouse:
    return Warehouse(shutil.copytree(built, tmp_path / "warehouse"))


def answer(warehouse: Warehouse) -> None:
    """Answer everything, with the keys the work asks for."""
    tables = shop()
    keys = key_of(reviews_to_read(warehouse, VERSION)[1], "review_id")
    put(warehouse, "review_aspects", [{**r, "extraction_key": keys[r["review_id"]]} for r in tables["review_aspects"]])
    keys = key_of(items_to_summarise(warehouse, VERSION)[1], "item_id")
    put(warehouse, "item_summaries", [{**r, "extraction_key": keys[r["item_id"]]} for r in tables["item_summaries"]])
    keys = key_of(items_to_profile(warehouse, VERSION, arrow("item_personas", []), 0)[1], "item_id")
    evidence = {r["item_id"]: [e["review_id"] for e in r["evidence"]] for r in tables["item_reviews"]}
    put(
        warehouse,
        "item_personas",
        [
            {**r, "extraction_key": keys[r["item_id"]], "extracted_from": evidence[r["item_id"]]}
            for r in tables["item_personas"]
        ],
    )


def key_of(rows: pa.Table, subject: str) -> dict[str, str]:
    return dict(zip(rows[subject].to_pylist(), rows["extraction_key"].to_pylist(), strict=True))


def alter(warehouse: Warehouse, change: Callable[[Tables], object]) -> None:
    tables = {table: shop()[table] for table in INPUTS if table != "item_summaries"}
    change(tables)
    for table, rows in tables.items():
        put(warehouse, table, rows)


def asked(warehouse: Warehouse, version: str = VERSION, refresh_share: float = 0) -> dict[str, list[str]]:
    """Subjects still to be asked about, by table; what is kept must be the rest."""
    parent = warehouse.read("item_personas")
    found: dict[str, list[str]] = {}
    works: list[tuple[str, str, tuple[pa.Table, pa.Table]]] = [
        ("review_aspects", "review_id", reviews_to_read(warehouse, version)),
        ("item_summaries", "item_id", items_to_summarise(warehouse, version)),
        ("item_personas", "item_id", items_to_profile(warehouse, version, parent, refresh_share)),
    ]
    for table, subject, (kept, open_) in works:
        found[table] = open_[subject].to_pylist()
        assert not set(found[table]) & set(kept[subject].to_pylist())
        stored = {row[subject]: row for row in warehouse.read(table).to_pylist()}
        assert all(stored[row[subject]]["extraction_key"] == row["extraction_key"] for row in kept.to_pylist())
    return found


def test_the_first_night_asks_everything(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    for table in INPUTS[:-1]:
        put(warehouse, table, shop()[table])
    found = asked(warehouse)
    assert len(found["review_aspects"]) == 10
    assert found["item_summaries"] == found["item_personas"] == ["capo", "picks", "strap", "strings", "tuner"]


def test_an_unchanged_night_asks_nothing(warehouse: Warehouse) -> None:
    assert asked(warehouse) == {"review_aspects": [], "item_summaries": [], "item_personas": []}
    kept, _ = reviews_to_read(warehouse, VERSION)
    assert kept.to_pylist() == warehouse.read("review_aspects").to_pylist()
    kept, _ = items_to_profile(warehouse, VERSION, warehouse.read("item_personas"), 0)
    assert sorted(kept.to_pylist(), key=lambda row: row["persona_id"]) == warehouse.read("item_personas").to_pylist()


def test_a_new_version_of_the_extractor_asks_everything_again(warehouse: Warehouse) -> None:
    assert {table: len(subjects) for table, subjects in asked(warehouse, "embedded-2").items()} == {
        "review_aspects": 10,
        "item_summaries": 5,
        "item_personas": 5,
    }


def _edit(review_id: str, **values: Any) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for row in (*tables["reviews"], *(e for item in tables["item_reviews"] for e in item["evidence"])):
            if row["review_id"] == review_id:
                row.update(values)

    return change


def test_an_edited_review_is_read_again_and_its_item_profiled_again(warehouse: Warehouse) -> None:
    alter(warehouse, _edit("ben-capo", text="Hard to squeeze with small hands."))
    assert asked(warehouse) == {"review_aspects": ["ben-capo"], "item_summaries": [], "item_personas": ["capo"]}


def test_other_stars_for_the_same_text_are_another_opinion(warehouse: Warehouse) -> None:
    alter(warehouse, _edit("ben-capo", rating=1.0))
    assert asked(warehouse) == {"review_aspects": ["ben-capo"], "item_summaries": [], "item_personas": ["capo"]}


def test_an_item_without_a_title_is_summarised_from_its_reviews(warehouse: Warehouse) -> None:
    alter(warehouse, _edit("dan-strings", text="They rust."))
    found = asked(warehouse)
    assert (found["item_summaries"], found["item_personas"]) == (["strings"], ["strings"])


def _another_tuner_review(tables: Tables) -> None:
    new = {
        **tables["reviews"][0],
        "review_id": "eve-tuner",
        "user_id": "eve",
        "item_id": "tuner",
        "text": "Dies young.",
    }
    tables["reviews"].append(new)
    tuner = next(row for row in tables["item_reviews"] if row["item_id"] == "tuner")
    tuner["evidence"].append({k: new[k] for k in ("review_id", "user_id", "rating", "reviewed_at", "text")})


def test_a_new_review_is_read_and_its_item_profiled(warehouse: Warehouse) -> None:
    alter(warehouse, _another_tuner_review)
    assert asked(warehouse) == {"review_aspects": ["eve-tuner"], "item_summaries": [], "item_personas": ["tuner"]}


def test_evidence_that_moved_little_waits_for_more(warehouse: Warehouse) -> None:
    alter(warehouse, _another_tuner_review)  # two reviews of the tuner became three: a third of them is new
    assert asked(warehouse, refresh_share=0.3)["item_personas"] == ["tuner"]
    assert asked(warehouse, refresh_share=0.34)["item_personas"] == []
    # Another prompt or model asks again all the same.
    assert len(asked(warehouse, "embedded-2", refresh_share=0.34)["item_personas"]) == 5


def test_evidence_moves_from_the_last_extraction_not_from_the_night_before(warehouse: Warehouse) -> None:
    alter(warehouse, _another_tuner_review)
    kept, _ = items_to_profile(warehouse, VERSION, warehouse.read("item_personas"), 0.34)
    put(warehouse, "item_personas", kept.to_pylist())  # the night that waited
    assert asked(warehouse, refresh_share=0.3)["item_personas"] == ["tuner"]


def test_a_quote_that_no_longer_stands_is_not_waited_for(warehouse: Warehouse) -> None:
    def edit_and_add(tables: Tables) -> None:
        _edit("ana-tuner", text="Too slow for me.")(tables)
        _another_tuner_review(tables)

    alter(warehouse, edit_and_add)
    assert asked(warehouse, refresh_share=0.9)["item_personas"] == ["tuner"]


def test_evidence_in_another_order_is_the_same_evidence(warehouse: Warehouse) -> None:
    alter(warehouse, lambda tables: [row["evidence"].reverse() for row in tables["item_reviews"]])
    assert not any(asked(warehouse).values())


def test_a_review_that_only_a_history_needs_is_read(warehouse: Warehouse) -> None:
    def bound(tables: Tables) -> None:
        for row in tables["item_reviews"]:
            row["evidence"] = [e for e in row["evidence"] if e["review_id"] != "ben-strap"]

    alter(warehouse, bound)
    kept, open_ = reviews_to_read(warehouse, VERSION)
    assert "ben-strap" in kept["review_id"].to_pylist()
    assert open_.num_rows == 0


def test_a_review_nobody_needs_is_not_read(warehouse: Warehouse) -> None:
    def forget(tables: Tables) -> None:
        tables["item_reviews"].clear()
        tables["user_histories"].pop(0)  # ana's

    put(warehouse, "review_aspects", [])
    alter(warehouse, forget)
    assert [review for review in asked(warehouse)["review_aspects"] if review.startswith("ana-")] == []


@pytest.mark.parametrize(
    "change", [{"title": "Spring capo, black"}, {"description": "Steel."}, {"categories": ["Capos"]}]
)
def test_changed_metadata_asks_for_summary_and_personas(warehouse: Warehouse, change: Row) -> None:
    alter(warehouse, lambda tables: tables["items"][0].update(change))
    assert asked(warehouse) == {"review_aspects": [], "item_summaries": ["capo"], "item_personas": ["capo"]}


def test_title_and_description_do_not_run_into_each_other(warehouse: Warehouse) -> None:
    def keys(title: str | None, description: str | None) -> str:
        alter(warehouse, lambda tables: tables["items"][0].update(title=title, description=description))
        _, open_ = items_to_summarise(warehouse, "another")
        return key_of(open_, "item_id")["capo"]

    assert (
        len({keys("Spring", "capo"), keys("Spring capo", None), keys("", "Spring capo"), keys("Springcapo", "")}) == 4
    )


def test_a_changed_summary_asks_for_personas(warehouse: Warehouse) -> None:
    rows = warehouse.read("item_summaries").to_pylist()
    rows[4]["summary"] = "A tuner that clips on."
    put(warehouse, "item_summaries", rows)
    assert asked(warehouse)["item_personas"] == ["tuner"]


def test_what_is_asked_comes_with_what_the_extractor_needs(warehouse: Warehouse) -> None:
    _, reviews = reviews_to_read(warehouse, "another")
    assert reviews.column_names == [
        "review_id",
        "user_id",
        "item_id",
        "rating",
        "title",
        "text",
        "extraction_key",
        "why",
    ]
    _, items = items_to_profile(warehouse, "another", warehouse.read("item_personas"), 0)
    capo = items.to_pylist()[0]
    assert (capo["title"], capo["summary"]) == ("Spring capo", "Spring capo. For guitar players.")
    assert [e["review_id"] for e in capo["evidence"]] == ["ben-capo", "cleo-capo"]


def test_an_item_whose_personas_are_all_retired_is_asked_again(warehouse: Warehouse) -> None:
    rows = warehouse.read("item_personas").to_pylist()
    for row in rows:
        if row["item_id"] == "picks":
            row.update(status="retired", position=0, retired_as_of=AS_OF)
    put(warehouse, "item_personas", rows)
    assert asked(warehouse)["item_personas"] == ["picks"]


def test_retired_personas_of_an_unchanged_item_stay(warehouse: Warehouse) -> None:
    rows = warehouse.read("item_personas").to_pylist()
    old = {**rows[0], "persona_id": "capo-old", "status": "retired", "position": 0, "extraction_key": "an older one"}
    put(warehouse, "item_personas", [*rows, old])
    kept, open_ = items_to_profile(warehouse, VERSION, warehouse.read("item_personas"), 0)
    assert "capo-old" in kept["persona_id"].to_pylist()
    assert open_.num_rows == 0


def test_personas_of_vanished_items_are_retired_once(warehouse: Warehouse) -> None:
    parent = warehouse.read("item_personas")
    assert vanished(warehouse, parent, AS_OF).num_rows == 0
    alter(warehouse, lambda tables: tables["items"].pop(2))  # the strap
    kept, open_ = items_to_profile(warehouse, VERSION, parent, 0)
    assert "strap" not in kept["item_id"].to_pylist() + open_["item_id"].to_pylist()
    gone = vanished(warehouse, parent, AS_OF)
    assert {row["persona_id"] for row in gone.to_pylist()} == {"strap-1", "strap-2"}
    assert {(row["status"], row["position"], row["retired_as_of"]) for row in gone.to_pylist()} == {
        ("retired", 0, AS_OF)
    }
    later = vanished(warehouse, gone, date(2024, 7, 9))
    assert {row["retired_as_of"] for row in later.to_pylist()} == {AS_OF}


def test_the_reasons_why_something_is_asked(warehouse: Warehouse) -> None:
    def why(version: str = VERSION) -> list[dict[str, str]]:
        works = (
            ("review_id", reviews_to_read(warehouse, version)[1]),
            ("item_id", items_to_summarise(warehouse, version)[1]),
            ("item_id", items_to_profile(warehouse, version, warehouse.read("item_personas"), 0)[1]),
        )
        return [dict(zip(r[subject].to_pylist(), r["why"].to_pylist(), strict=True)) for subject, r in works]

    assert [set(found.values()) for found in why("embedded-2")] == [{"prompt, model or code"}] * 3
    alter(warehouse, _another_tuner_review)
    put(
        warehouse,
        "item_summaries",
        [{**r, "extraction_key": ""} for r in shop()["item_summaries"] if r["item_id"] == "picks"],
    )
    reviews, summaries, personas = why()
    assert reviews == {"eve-tuner": "new"}
    assert summaries == {"picks": "no answer yet", **dict.fromkeys(("capo", "strap", "strings", "tuner"), "new")}
    assert personas == dict.fromkeys(("capo", "strap", "strings", "tuner"), "evidence")
