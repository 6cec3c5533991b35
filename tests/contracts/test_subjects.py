"""Every column says how it is about a person, so that a new table cannot forget: erasing walks what they say."""

import pytest

from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.erasure.derived import RULES
from persona_pipeline.erasure.rows import TableChange
from persona_pipeline.erasure.traces import Traces

PLAINLY_NOT = {"boolean", "int", "long", "float", "double", "date", "timestamp"}
"""Types that name nobody and say nothing in words; a column of these may still say that it counts people (`derived`)."""


@pytest.mark.parametrize("table", table_names())
def test_every_text_says_whom_it_is_about(table: str) -> None:
    contract = load_contract(table)
    silent = [
        column.name
        for column in contract.columns
        if column.subject is None and not column.fields and (column.items or column.type) not in PLAINLY_NOT
    ]
    silent += [
        f"{column.name}.{field.name}"
        for column in contract.columns
        for field in column.fields
        if field.subject is None and field.type not in PLAINLY_NOT
    ]
    assert silent == [], f"schemas/{table}.yaml: say `subject` of these, see docs/erasure.md"


@pytest.mark.parametrize("table", table_names())
def test_what_is_made_from_several_has_a_rule(table: str) -> None:
    assert not load_contract(table).subjects("derived") or table in RULES


@pytest.mark.parametrize("table", table_names())
def test_ids_are_called_alike_everywhere(table: str) -> None:
    contract = load_contract(table)
    for column, field in contract.subjects("none"):
        assert (field or column) not in ("user_id", "review_id", "quote", "text"), (table, column, field)


def test_a_column_of_ids_alone_is_enough_for_a_new_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table nobody knew when erasing was written: its contract says all there is to know."""
    import pyarrow as pa

    from persona_pipeline.contracts import Contract
    from persona_pipeline.erasure.mentions import Mentions

    about = {"description": "d", "nullable": True}
    contract = Contract.model_validate(
        {
            "table": "returns", "description": "d", "made_by": "people", "role": "state", "owner": "data-engineering",
            "retention": "as_released", "engine": "delta-rs", "key": ["number"],
            "columns": [
                {"name": "number", "type": "long", **about},
                {"name": "user_id", "type": "string", "subject": "user", **about},
                {"name": "helpers", "type": "list", "items": "string", "subject": "user", **about},
                {"name": "said", "type": "list", **about,
                 "fields": [{"name": "of", "type": "string", "subject": "quoted", "description": "d"}]},
                {"name": "note", "type": "string", "subject": "remark", **about},
            ],
        }
    )  # fmt: skip
    from datetime import date

    traces = Traces(date(2024, 7, 1), frozenset(["u-ben"]), {"r-ben": None}, Mentions(frozenset(["u-ben", "r-ben"])))
    rows = pa.Table.from_pylist(
        [
            {"number": 0, "user_id": "u-ben", "helpers": [], "said": [], "note": ""},
            {"number": 1, "user_id": "ana", "helpers": ["u-ben", "cleo"], "said": [{"of": "r-ben"}, {"of": "r-ana"}], "note": None},
            {"number": 2, "user_id": "ana", "helpers": None, "said": None, "note": "sent back by u-ben, not by u-benno"},
            {"number": 3, "user_id": "ana", "helpers": ["cleo"], "said": [{"of": None}], "note": "all well"},
        ],
        schema=pa.schema([field.with_nullable(True) for field in contract.arrow_schema()]),
    )  # fmt: skip
    change = TableChange(contract, traces)
    goes, changes = change.marks(rows)
    assert (goes.tolist(), changes.tolist()) == ([True, False, False, False], [False, True, True, False])
    assert change.applied(rows).to_pylist() == [
        {"number": 1, "user_id": "ana", "helpers": ["cleo"], "said": [{"of": "r-ana"}], "note": None},
        {"number": 2, "user_id": "ana", "helpers": None, "said": None, "note": "sent back by [erased], not by u-benno"},
        {"number": 3, "user_id": "ana", "helpers": ["cleo"], "said": [{"of": None}], "note": "all well"},
    ]
