"""Contracts load, and rows that break one are refused with table, column and fault."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from helpers import Row, arrow, reviews, shop

from persona_pipeline.contracts import load_contract, loader, table_names
from persona_pipeline.core.errors import ContractError


def test_every_schema_loads_and_gives_arrow_types() -> None:
    assert {"reviews", "item_personas", "user_item_topk", "releases"} <= set(table_names())
    for table in table_names():
        contract = load_contract(table)
        schema = contract.arrow_schema()
        assert schema.names == contract.names
        assert all(field.metadata[b"comment"] for field in schema)
        assert not any(schema.field(name).nullable for name in (*contract.key, *contract.partition_by)), table


@pytest.mark.parametrize("table", sorted(shop()))
def test_rows_of_a_sound_night_conform(table: str) -> None:
    rows = arrow(table, shop()[table])
    assert load_contract(table).conform(rows).equals(rows)


def conform(rows: pa.Table) -> pa.Table:
    return load_contract("reviews").conform(rows)


def test_columns_come_in_the_contracts_order_and_types() -> None:
    rows = arrow("reviews", reviews())
    shuffled = rows.select(rows.column_names[::-1])
    narrow = shuffled.set_column(0, "source_line", rows["source_line"].cast(pa.int16()))
    assert conform(narrow).schema.equals(rows.schema, check_metadata=True)


def test_missing_and_unknown_columns_are_named_together() -> None:
    rows = arrow("reviews", reviews()).rename_columns({"rating": "stars"})
    message = r"table reviews: columns differ from schemas/reviews.yaml: missing \['rating'\], unknown \['stars'\]"
    with pytest.raises(ContractError, match=message):
        conform(rows)


def test_unknown_column_alone() -> None:
    rows = arrow("reviews", reviews()).append_column("helpful", pa.array([0] * 10))
    with pytest.raises(ContractError, match=r"missing none, unknown \['helpful'\]"):
        conform(rows)


def test_nulls_where_none_are_allowed() -> None:
    rows = pa.Table.from_pylist([{**row, "rating": None} if n < 2 else row for n, row in enumerate(reviews())])
    rows = rows.set_column(rows.column_names.index("title"), "title", pa.nulls(10, pa.string()))
    with pytest.raises(ContractError, match="table reviews: column rating holds 2 nulls, none allowed"):
        conform(rows)


def test_nulls_where_they_are_allowed() -> None:
    assert conform(arrow("reviews", reviews()))["title"].null_count == 10


def test_repeated_key_gives_an_example() -> None:
    rows = arrow("reviews", [*reviews(), reviews()[3]])
    message = r"table reviews: 1 repeated values of the key \(review_id\), e.g. {'review_id': 'ben-strap'}"
    with pytest.raises(ContractError, match=message):
        conform(rows)


def test_key_of_two_columns_repeats_only_as_a_pair() -> None:
    rows = shop()["user_item_topk"]
    assert len({row["rank"] for row in rows}) < len(rows)
    contract = load_contract("user_item_topk")
    contract.conform(arrow("user_item_topk", rows))
    rows[1]["rank"] = 1
    with pytest.raises(ContractError, match=r"1 repeated values of the key \(user_id, rank\)"):
        contract.conform(arrow("user_item_topk", rows))


def _replaced(column: str, values: list[object]) -> pa.Table:
    rows = arrow("reviews", reviews())
    return rows.set_column(rows.column_names.index(column), column, pa.array(values))


@pytest.mark.parametrize(
    ("column", "values", "type_"),
    [
        ("rating", ["five stars"] * 10, "double"),
        ("source_line", [1.5] * 10, "int64"),
        ("reviewed_at", [[1]] * 10, r"timestamp\[us, tz=UTC\]"),
        ("text", [{"body": "nice"}] * 10, "string"),
    ],
)
def test_wrong_type_names_column_and_type(column: str, values: list[object], type_: str) -> None:
    with pytest.raises(ContractError, match=rf"table reviews: column {column} is not {type_}"):
        conform(_replaced(column, values))


@pytest.mark.parametrize("evidence", [["a quote"], [{"kind": "review", "quotation": "a quote"}], [[1]]])
def test_wrong_struct_in_a_list_is_refused(evidence: list[object]) -> None:
    rows = arrow("item_personas", shop()["item_personas"])
    place = rows.column_names.index("evidence")
    wrong = rows.set_column(place, "evidence", pa.array([evidence] * rows.num_rows))
    with pytest.raises(ContractError, match="table item_personas: column evidence is not list<"):
        load_contract("item_personas").conform(wrong)


def test_local_time_is_kept_as_the_same_moment() -> None:
    noon = datetime(2024, 6, 1, 12, tzinfo=UTC)
    berlin = pa.array([noon] * 10, pa.timestamp("ms", tz="Europe/Berlin"))
    rows = arrow("reviews", reviews())
    converted = conform(rows.set_column(rows.column_names.index("reviewed_at"), "reviewed_at", berlin))
    assert converted["reviewed_at"][0].as_py() == noon


def test_unknown_table_lists_the_known() -> None:
    with pytest.raises(ContractError, match=r"no contract schemas/ratings\.yaml; tables: .*reviews"):
        load_contract("ratings")


GOOD: Row = {
    "table": "ratings",
    "description": "One rating.",
    "made_by": "ratings",
    "role": "state",
    "owner": "data-engineering",
    "retention": "as_released",
    "engine": "spark",
    "key": ["user_id"],
    "columns": [{"name": "user_id", "type": "string", "nullable": False, "description": "Who"}],
}


@pytest.fixture
def schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of contracts of its own."""
    monkeypatch.setattr(loader, "SCHEMAS", tmp_path)
    load_contract.cache_clear()
    yield tmp_path
    load_contract.cache_clear()


def _write(folder: Path, contract: Row) -> None:
    import yaml

    (folder / "ratings.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")


def test_a_minimal_contract(schemas: Path) -> None:
    _write(schemas, GOOD)
    assert load_contract("ratings").arrow_schema() == pa.schema([pa.field("user_id", pa.string(), nullable=False)])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"table": "reviews"}, "table must be ratings"),
        ({"key": ["rater"]}, "key, partitions and order among the columns .rater."),
        ({"partition_by": ["day"]}, "key, partitions and order among the columns .day."),
        ({"sort_by": ["day"]}, "key, partitions and order among the columns .day."),
        ({"columns": GOOD["columns"] * 2}, "column names distinct"),
        ({"colour": "blue"}, "Extra inputs are not permitted"),
        ({"engine": "pandas"}, "Input should be 'spark' or 'delta-rs'"),
        ({"columns": [{**GOOD["columns"][0], "type": "list"}]}, "a list column has items or fields"),
        ({"columns": [{**GOOD["columns"][0], "items": "long"}]}, "a list column has items or fields"),
        ({"columns": [{**GOOD["columns"][0], "description": ""}]}, "at least 1 character"),
    ],
)
def test_malformed_contracts_are_refused(schemas: Path, change: Row, said: str) -> None:
    _write(schemas, {**GOOD, **change})
    with pytest.raises(ContractError, match=rf"(?s)schemas/ratings\.yaml: .*{said}"):
        load_contract("ratings")


def test_what_publishes_audits_the_whole_state() -> None:
    assert set(load_contract("releases").reads) == set(table_names("state"))
