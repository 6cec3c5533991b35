"""The job `blocks` on the shop: what users do not want to see, as it is tonight, and no Spark where nobody says anything."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from one_run import OneRun, kept, opened, without, written

from persona_pipeline.core.errors import PipelineError, SourceError
from persona_pipeline.runs.log import run_row
from persona_pipeline.spark import session as spark_module
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def empty(warehouse: Warehouse) -> Warehouse:
    """Before anybody blocked anything."""
    return without(warehouse, "blocks")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two of ana's, one of which there is no item; the shop does not know eve yet."""
    path = tmp_path / "blocks.csv"
    path.write_text("user_id,item_id,category\nana,capo,\nana,harp,\neve,,Music\n")
    return path


def tonight(warehouse: Warehouse, file: Path) -> OneRun:
    return opened(warehouse, eligibility={"blocks": str(file)})


def test_what_is_blocked_goes_with_its_file(empty: Warehouse, file: Path, spark: "SparkSession") -> None:
    run = tonight(empty, file)
    summary = run.do("blocks")
    assert [summary[name] for name in ("lines", "users", "without_items")] == [3, 2, 1]
    assert written(summary) == {"blocks": (3, 0, 0)}
    assert kept(empty, "blocks") == [
        {"user_id": "ana", "kind": "item", "value": "capo"},
        {"user_id": "ana", "kind": "item", "value": "harp"},
        {"user_id": "eve", "kind": "category", "value": "Music"},
    ]
    run.again("blocks")
    gone = opened(empty)
    assert written(gone.do("blocks")) == {"blocks": (0, 0, 3)}
    gone.again("blocks")


def test_a_row_that_is_not_understood_stops_the_night(empty: Warehouse, file: Path, spark: "SparkSession") -> None:
    file.write_text(file.read_text() + "ben,,\n")
    with pytest.raises(SourceError, match=r"blocks\.csv, line 5: missing_block"):
        tonight(empty, file).do("blocks")
    assert not empty.exists("blocks")


def test_the_files_are_those_of_the_run(empty: Warehouse, file: Path) -> None:
    run = tonight(empty, file)
    before = run_row(empty, run.run_id)
    assert [(found["kind"], Path(found["path"]).name) for found in before["input_files"]] == [("blocks", "blocks.csv")]
    file.write_text("user_id,item_id\nana,capo\n")
    with pytest.raises(PipelineError, match=r"blocks\.csv: not the file of \d+ bytes that it was when run"):
        run.do("blocks")
    assert run_row(empty, tonight(empty, file).run_id)["made_from"] != before["made_from"]


def test_without_a_file_there_is_nothing_to_do(empty: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_module, "session", lambda *_: pytest.fail("Spark started for nothing"))
    assert opened(empty).do("blocks")["lines"] == 0
    assert not empty.exists("blocks")
