"""A withheld review planted in each place in turn is found, and no contract has a place nobody looks at."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from helpers import Row, put_all, shop

from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.core.errors import LeakError
from persona_pipeline.evaluate.leakage import (
    NOT_LEARNED_FROM,
    LeakPlace,
    pair_places,
    require_nothing_withheld,
    review_places,
)
from persona_pipeline.publish.staging import PUBLISHED, staged_tables
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.fingerprints import reviews_digest

WITHHELD = pa.table({"interaction_id": ["gone"], "user_id": ["ana"], "item_id": ["capo"]})
START = datetime(2024, 6, 1, tzinfo=UTC)
# Names of text columns that speak of reviews and hold no id of one.
NO_IDS = {
    "extraction_key", "input", "item_title", "kind", "label_source", "name", "persona_source", "reason", "recommendation_source",
    "spam", "summary_source", "text", "title",
}  # fmt: skip


def trained(warehouse: Warehouse, **about: str) -> None:
    """The artefact of the shop's encoder, saying this about itself."""
    folder = warehouse.root / "_artefacts" / "encoders" / "enc1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "encoder.json").write_text(json.dumps(about))


def evaluated(root: Path, spoil: Callable[[dict[str, list[Row]]], None] = lambda tables: None) -> Warehouse:
    warehouse = Warehouse(root)
    tables = shop()
    spoil(tables)
    put_all(warehouse, tables)
    trained(warehouse, reviews_digest=reviews_digest(warehouse))
    return warehouse


def plant(tables: dict[str, list[Row]], place: LeakPlace, row: int = 0) -> None:
    """Put the withheld review, or its user and item, where `place` says."""
    if not tables[place.table]:  # the shop refused nothing, and nobody there did anything without a review
        tables["quarantine"] = [{"stage": "s", "subject_id": "x", "reason": "r", "detail": "", "extraction_key": "k"}]
        event = {"interaction_id": "event:1", "user_id": "eve", "item_id": "picks", "kind": "play", "weight": 1.0}
        tables["interactions"] = [event | {"occurred_at": START, "source_file": "e", "source_line": 1}]
    target = tables[place.table][row]
    if place.column == "user_id, item_id":
        target |= {"user_id": "ana", "item_id": "capo"}
    elif place.column == "reviewed_item_ids":
        target |= {"user_id": "ana", "reviewed_item_ids": ["capo"]}
    elif "." in place.column:
        column, field = place.column.split(".")
        parts = [{f.name: None for f in c.fields} for c in load_contract(place.table).columns if c.name == column]
        target[column] = [*target[column], {**parts[0], field: "gone"}]
    elif isinstance(target[place.column], list):
        target[place.column] = [*target[place.column], "gone"]
    else:
        target[place.column] = "gone"


def test_a_clean_night_passes(tmp_path: Path) -> None:
    warehouse = evaluated(tmp_path)
    require_nothing_withheld(warehouse, WITHHELD)
    known = warehouse.read("reviews", ["review_id", "user_id", "item_id"])
    known = known.rename_columns(["interaction_id", "user_id", "item_id"])
    with pytest.raises(LeakError, match="holds what was withheld"):  # of the same warehouse, what it does know
        require_nothing_withheld(warehouse, known)


@pytest.mark.parametrize("place", [*review_places(), *pair_places()], ids=lambda place: f"{place.table}.{place.column}")
def test_what_was_withheld_is_found_wherever_it_is(tmp_path: Path, place: LeakPlace) -> None:
    warehouse = evaluated(tmp_path, lambda tables: plant(tables, place))
    found = re.escape(f"{place.column} holds what was withheld, 1 times, for example ")
    with pytest.raises(
        LeakError, match=rf"^table {place.table} at .*: {found}(interaction_id gone|user_id ana, item_id capo)\. "
    ):
        require_nothing_withheld(warehouse, WITHHELD)


def test_published_tables_are_searched_too(tmp_path: Path) -> None:
    warehouse = evaluated(
        tmp_path, lambda tables: plant(tables, next(p for p in review_places() if p.table in PUBLISHED))
    )
    staged_tables(warehouse).root.rename(tmp_path / "aside")
    (tmp_path / "aside" / "default_topk").rename(tmp_path / "default_topk")
    with pytest.raises(LeakError, match="table default_topk"):
        require_nothing_withheld(warehouse, WITHHELD)


def test_a_withheld_item_may_be_recommended_to_its_user(tmp_path: Path) -> None:
    tables = shop()
    assert any((row["user_id"], row["item_id"]) == ("ana", "capo") for row in tables["user_item_topk"])
    require_nothing_withheld(evaluated(tmp_path), WITHHELD)


def test_an_item_met_before_is_no_leak_where_that_is_allowed(tmp_path: Path) -> None:
    again = pa.table({"interaction_id": ["gone"], "user_id": ["ana"], "item_id": ["strap"]})
    warehouse = evaluated(tmp_path)
    with pytest.raises(LeakError, match="for example user_id ana, item_id strap"):
        require_nothing_withheld(warehouse, again)
    require_nothing_withheld(warehouse, again, pairs=again.slice(0, 0))


def test_an_encoder_trained_from_other_reviews_is_refused(tmp_path: Path) -> None:
    warehouse = evaluated(tmp_path)
    trained(warehouse, reviews_digest="0" * 64)
    with pytest.raises(
        LeakError, match=r"encoder enc1: trained from other reviews .*reviews_digest 000000000000, expected"
    ):
        require_nothing_withheld(warehouse, WITHHELD)


def test_an_encoder_that_does_not_say_from_what_is_refused(tmp_path: Path) -> None:
    warehouse = evaluated(tmp_path)
    trained(warehouse, encoder_id="enc1")
    with pytest.raises(LeakError, match="does not say which reviews it was trained from"):
        require_nothing_withheld(warehouse, WITHHELD)


def test_an_encoder_nobody_uses_does_not_matter(tmp_path: Path) -> None:
    def add(tables: dict[str, list[Row]]) -> None:
        tables["encoders"].append(
            {**tables["encoders"][0], "encoder_id": "enc0", "artefact": "_artefacts/encoders/enc0"}
        )

    warehouse = evaluated(tmp_path, add)
    assert warehouse.read("encoders")["encoder_id"].to_pylist() == ["enc0", "enc1"]
    assert not (warehouse.root / "_artefacts" / "encoders" / "enc0").exists()  # read, it would be refused
    require_nothing_withheld(warehouse, WITHHELD)


def test_every_text_column_that_speaks_of_reviews_is_searched() -> None:
    """By the words of the contracts, not by the names the search goes by: a new column under a new name is noticed."""
    searched = {f"{place.table}.{place.column}" for place in review_places()}
    speaking = set()
    for table in set(table_names()) - set(NOT_LEARNED_FROM):
        for column in load_contract(table).columns:
            parts = [(column.name, column.items or column.type, column.description)]
            parts += [(f"{column.name}.{field.name}", field.type, field.description) for field in column.fields]
            speaking |= {
                f"{table}.{name}"
                for name, kind, said in parts
                if kind == "string" and re.search(r"\breview(s|_ids?)?\b", said, re.IGNORECASE)
            }
    assert {name.rsplit(".")[-1] for name in speaking - searched} == NO_IDS
