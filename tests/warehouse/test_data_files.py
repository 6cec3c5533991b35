"""Data files that workers write beside a table, and the one commit that makes them part of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import arrow, shop
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.contracts import load_contract
from persona_pipeline.warehouse import Warehouse, data_files
from persona_pipeline.warehouse.data_files import statistics, written_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CONTRACT = load_contract("parsed_reviews")


def batches(copies: int = 1) -> list[pa.RecordBatch]:
    rows = arrow("parsed_reviews", shop()["parsed_reviews"]).drop_columns(["parsed_in"])
    found: list[pa.RecordBatch] = rows.combine_chunks().to_batches()
    return found * copies


def append(warehouse: Warehouse, run: str, copies: int = 1) -> int:
    folder = Path(warehouse.path("parsed_reviews"))
    files = list(written_files(folder, CONTRACT, batches(copies)))
    warehouse.append_files("parsed_reviews", files, {"parsed_in": run})
    return len(files)


def test_what_is_committed_is_read_by_every_engine(tmp_path: Path, spark: "SparkSession") -> None:
    warehouse = Warehouse(tmp_path)
    append(warehouse, "run a/1")
    append(warehouse, "run b")
    expected = shop()["parsed_reviews"]
    found = warehouse.read("parsed_reviews").to_pylist()
    for run in ("run a/1", "run b"):
        ours = sorted(({**row, "parsed_in": run} for row in expected), key=lambda row: row["source_line"])
        theirs = sorted((row for row in found if row["parsed_in"] == run), key=lambda row: row["source_line"])
        assert theirs == arrow("parsed_reviews", ours).to_pylist()
    by_spark = spark.read.format("delta").load(warehouse.path("parsed_reviews"))
    assert by_spark.count() == len(found)
    refused = sum(row["reason"] is not None for row in found)
    assert by_spark.where("reason IS NOT NULL").count() == refused
    assert warehouse.dataset("parsed_reviews").count_rows() == len(found)
    con = duckdb.connect()
    con.register("parsed", warehouse.dataset("parsed_reviews"))
    assert con.execute("SELECT count(*) FROM parsed WHERE reason IS NULL").fetchone() == (len(found) - refused,)


def test_a_file_is_bounded_and_its_log_names_no_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = batches()[0]
    monkeypatch.setattr(data_files, "_BYTES", 2 * rows.nbytes)
    warehouse = Warehouse(tmp_path)
    assert append(warehouse, "r", copies=5) == 3
    assert warehouse.dataset("parsed_reviews").count_rows() == 5 * rows.num_rows
    (log,) = Path(warehouse.path("parsed_reviews")).glob("_delta_log/*1.json")
    added = [json.loads(line)["add"] for line in log.read_text().splitlines() if "add" in json.loads(line)]
    assert len(added) == 3
    for action in added:
        told = json.loads(action["stats"])
        assert not {"text", "title", "detail"} & {*told["minValues"], *told["maxValues"]}
        assert {"text", "title", "detail", "reason"} <= told["nullCount"].keys()
        assert action["partitionValues"] == {"parsed_in": "r"}


def test_a_file_that_nobody_commits_is_of_no_version(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    append(warehouse, "r")
    folder = Path(warehouse.path("parsed_reviews"))
    (lost,) = written_files(folder, CONTRACT, batches())
    assert warehouse.dataset("parsed_reviews").count_rows() == batches()[0].num_rows
    assert warehouse.unneeded_files("parsed_reviews", [0, 1], grace_hours=0) == [folder / lost.path]


_VALUES = st.one_of(st.none(), st.text(max_size=50), st.just("long " * 20))


@given(st.lists(_VALUES, max_size=8), st.lists(st.one_of(st.none(), st.floats()), max_size=8))
def test_bounds_hold(texts: list[Any], numbers: list[Any]) -> None:
    for name, kind, values in (("t", pa.string(), texts), ("n", pa.float64(), numbers)):
        told = statistics(pa.table({name: pa.array(values, kind)}), [name])
        there = [value for value in values if value is not None and value == value]
        assert (told["numRecords"], told["nullCount"][name]) == (len(values), sum(value is None for value in values))
        for value in there if name in told["minValues"] else []:
            assert told["minValues"][name] <= value <= told["maxValues"][name]


def test_a_file_of_a_sorted_table_is_sorted_in_small_row_groups(tmp_path: Path) -> None:
    """As readers look up one user."""
    contract = load_contract("user_vectors")
    ids = [f"u{n:05}" for n in reversed(range(1_200))]
    row = shop()["user_vectors"][0]
    rows = arrow("user_vectors", [{**row, "user_id": user} for user in ids])
    (file,) = written_files(tmp_path, contract, rows.to_batches(max_chunksize=500))
    with pq.ParquetFile(tmp_path / file.path) as found:
        assert [found.metadata.row_group(group).num_rows for group in range(3)] == [512, 512, 176]
        assert found.read(["user_id"])["user_id"].to_pylist() == ids[::-1]
    assert json.loads(file.stats)["minValues"]["user_id"] == "u00000"
