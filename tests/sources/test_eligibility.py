"""Windows to availability, on real files and Spark: what a day allows, and refusals that name file, line and what was expected."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from persona_pipeline.config import EligibilityConfig
from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.eligibility import available_tonight, read_windows, unavailable_counts, with_availability
from persona_pipeline.sources.table_files import check_table
from persona_pipeline.sources.table_kinds import WINDOWS

DAY = date(2024, 6, 30)
BEFORE, AFTER = date(2024, 6, 29), date(2024, 7, 1)


def catalogue(spark: SparkSession, *bare: str) -> DataFrame:
    """Items with metadata, and those that reviews alone name."""
    rows = [(item, item not in bare) for item in ("always", "a", "b", *bare)]
    return spark.createDataFrame(rows, "item_id string, has_metadata boolean")


def judged(items: DataFrame) -> dict[str, Any]:
    return {row["item_id"]: row["unavailable_reason"] or row["available"] for row in items.collect()}


CASES: dict[str, tuple[list[tuple[Any, Any, Any]], Any]] = {
    "begun": ([(BEFORE, None, None)], True),
    "begins that day": ([(DAY, None, None)], True),
    "begins the day after": ([(AFTER, None, "preorder")], "preorder"),
    "ends the day after": ([(None, AFTER, None)], True),
    "ends that day": ([(None, DAY, "sold out")], "sold out"),
    "ended, and nobody says why": ([(None, DAY, None)], "outside_window"),
    "the second of two windows": ([(None, BEFORE, "sale over"), (DAY, AFTER, None)], True),
    "between two windows": ([(None, BEFORE, "sale over"), (AFTER, None, "next sale")], "sale over"),
    "of what ended, the last": ([(None, date(2020, 1, 1), "old"), (None, DAY, "new")], "new"),
    "of what begins, the next": ([(date(2030, 1, 1), None, "late"), (AFTER, None, "soon")], "soon"),
    "stopped": ([(None, None, "recalled")], "recalled"),
    "stopped inside a window": ([(BEFORE, AFTER, None), (None, None, "recalled")], "recalled"),
}


@pytest.mark.parametrize("full_catalogue", [False, True])
def test_what_a_day_allows(spark: SparkSession, full_catalogue: bool) -> None:
    names = {f"i{n}": case for n, case in enumerate(CASES)}
    rows = [(name, *row) for name, case in names.items() for row in CASES[case][0]]
    windows = spark.createDataFrame(
        [*rows, ("bare", None, AFTER, None), ("unheard of", None, AFTER, None)],
        "item_id string, first date, last date, reason string",
    )
    items = spark.createDataFrame(
        [*((name, True) for name in (*names, "always")), ("bare", False)], "item_id string, has_metadata boolean"
    )
    found = judged(with_availability(items, windows, DAY, full_catalogue))
    expected = {name: CASES[case][1] for name, case in names.items()}
    assert found == {**expected, "always": True, "bare": "delisted" if full_catalogue else True}


def test_without_a_file_a_full_catalogue_alone_decides(spark: SparkSession) -> None:
    config = EligibilityConfig(full_catalogue=True)
    rules = available_tonight(spark, catalogue(spark, "gone", "too"), [], config, DAY)
    assert rules.figures == {}
    assert judged(rules.items) == {"always": True, "a": True, "b": True, "gone": "delisted", "too": "delisted"}


def test_reasons_are_counted_the_most_frequent_first() -> None:
    reasons = [*(f"reason {n:02d}" for n in range(12)), *("recalled",) * 3]
    found = unavailable_counts(pa.chunked_array([reasons]))
    assert list(found.items())[:2] == [("recalled", 3), ("reason 00", 1)]
    assert (found["other"], sum(found.values())) == (3, 15)
    assert unavailable_counts(pa.chunked_array([["delisted"] * 2])) == {"delisted": 2}
    assert unavailable_counts(pa.chunked_array([], pa.string())) == {}


FILES = {
    "w.csv": "item_id,until,note,from,reason\na,2024-07-01,x,,\nb,,,2024-07-01,\n c ,,,,sold  out\na,2024-01-01,,2023-01-01,\n",
    "w.jsonl": "".join(
        json.dumps(row) + "\n"
        for row in [
            {"item_id": "a", "until": "2024-07-01"},
            {"item_id": "b", "from": "2024-07-01T00:00:00Z", "until": None},
            {"item_id": "c", "reason": "sold\nout", "from": ""},
            {"item_id": "a", "from": "2023-01-01 00:00:00", "until": "2024-01-01"},
        ]
    ),
}


def windows_of(spark: SparkSession, path: Path) -> list[tuple[Any, ...]]:
    return sorted(
        (tuple(row) for row in read_windows(spark, check_table(path, WINDOWS)).collect()), key=lambda row: str(row)
    )


EXPECTED = [
    ("a", None, date(2024, 7, 1), None),
    ("a", date(2023, 1, 1), date(2024, 1, 1), None),
    ("b", date(2024, 7, 1), None, None),
    ("c", None, None, "sold out"),
]


@pytest.mark.parametrize("name", FILES)
def test_windows_of_text_files(spark: SparkSession, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name])
    assert windows_of(spark, tmp_path / name) == sorted(EXPECTED, key=str)


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us"), pa.timestamp("ns", tz="UTC"), pa.string()])
def test_windows_of_parquet(spark: SparkSession, tmp_path: Path, kind: pa.DataType) -> None:
    def day(year: int, month: int, of_month: int) -> Any:
        return f"{year}-{month:02d}-{of_month:02d}" if kind == pa.string() else datetime(year, month, of_month)

    columns = {
        "item_id": ["a", "b", "c", "a"],
        "from": pa.array([None, day(2024, 7, 1), None, day(2023, 1, 1)], kind),
        "until": pa.array([day(2024, 7, 1), None, None, day(2024, 1, 1)], kind),
        "reason": [None, None, "sold out", None],
    }
    pq.write_table(pa.table(columns), tmp_path / "w.parquet")
    assert windows_of(spark, tmp_path / "w.parquet") == sorted(EXPECTED, key=str)


def test_faulty_rows_are_named_one_by_one(spark: SparkSession, tmp_path: Path) -> None:
    rows = [
        "a,2024-07-01,2024-07-01,",
        "b,tomorrow,,",
        ",2024-07-01,,",
        "good,2024-07-01,,",
        "c,,,",
        "d,,2024-06-30T12:00:00,",
        "e,,2024-02-30,",
        "f",
    ]
    (tmp_path / "w.csv").write_text("item_id,from,until,reason\n" + "\n".join(rows) + "\n")
    with pytest.raises(SourceError) as raised:
        read_windows(spark, check_table(tmp_path / "w.csv", WINDOWS))
    told = str(raised.value).splitlines()
    assert told[0].startswith("eligibility.file: 7 rows cannot be understood (bad_until 2, ")
    assert told[1:] == [
        "  w.csv, line 2: empty_window '2024-07-01 to 2024-07-01'; expected until after from: it is the first day on which the "
        "item is not recommended",
        "  w.csv, line 3: bad_from 'tomorrow'; expected a date such as 2024-06-30, in UTC and without a time of day",
        "  w.csv, line 4: missing_item_id; expected an item",
        "  w.csv, line 6: missing_window; expected from, until, or the reason why the item is not recommended at all",
        "  w.csv, line 7: bad_until '2024-06-30T12:00:00'; expected a date such as 2024-06-30, in UTC and without a time of day",
        "  and 2 more",
    ]


def test_a_file_without_dates_and_reasons_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("item_id,available\na,no\n")
    with pytest.raises(
        SourceError, match=r"w\.csv, line 1: windows need from, until \(dates\) or reason; found item_id, avail"
    ):
        check_table(tmp_path / "w.csv", WINDOWS)
    pq.write_table(pa.table({"item_id": ["a"], "until": [3]}), tmp_path / "w.parquet")
    with pytest.raises(SourceError, match=r"w\.parquet: column until is int64; expected a date"):
        check_table(tmp_path / "w.parquet", WINDOWS)
