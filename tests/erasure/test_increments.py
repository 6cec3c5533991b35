"""Somebody erased between two nights of increments: what was parsed of files that are no longer there goes on to count."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from decoded import found_in
from helpers import Row
from one_run import kept, opened, written

from persona_pipeline.erasure import erase as erasing
from persona_pipeline.runs.opening import Input, close_run
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WORDS = "Crack within a week of careful use, never again."


def said(number: int, user: str) -> Row:
    told = {"user_id": user, "item_id": "picks", "rating": 2, "timestamp": "2024-06-10"}
    return {"review_id": f"r{number}", "text": f"{WORDS} {user}", **told}


def night(warehouse: Warehouse, folder: Path) -> Row:
    run = opened(warehouse, Input("jsonl", folder), reviews={"quiet_seconds": 0.0, "complete": False})
    summary = run.do("reviews")
    close_run(warehouse, run.run_id, "ended", None)
    return summary


def test_an_increment_that_is_gone_goes_on_to_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark: "SparkSession"
) -> None:
    monkeypatch.setattr(erasing, "PAUSE", 0.0)
    folder, warehouse = tmp_path / "in", Warehouse(tmp_path / "warehouse")
    folder.mkdir()
    (folder / "1.jsonl").write_text("".join(json.dumps(said(n, user)) + "\n" for n, user in enumerate(("ana", "U42x"))))
    night(warehouse, folder)
    (folder / "1.jsonl").rename(tmp_path / "1.jsonl")
    (folder / "2.jsonl").write_text(json.dumps(said(2, "cleo")) + "\n")
    night(warehouse, folder)
    erasing.erase(warehouse.root, ["U42x"], "ana")
    assert found_in(warehouse.root, ["U42x"]) == {}
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    (folder / "3.jsonl").write_text(json.dumps(said(3, "U42x")) + "\n")
    summary = night(warehouse, folder)
    assert (summary["files"], summary["files_parsed"], summary["erased"]) == (3, 1, 2)
    assert written(summary)["reviews"] == (0, 0, 0)
    assert [row["user_id"] for row in kept(warehouse, "reviews")] == ["ana", "cleo"]
    # Erased where it stood, and erased when it was parsed: the same row.
    then, now = (row for row in kept(warehouse, "parsed_reviews") if row["reason"] == "erased")
    differing = {name for name in then if then[name] != now[name]}
    assert differing == {"parsed_in", "parsed_file", "source_line"}
