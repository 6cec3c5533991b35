"""The job `candidates` on the shop: another recommender's lists as they are tonight, and no Spark where there are none."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from one_run import OneRun, kept, opened, without, written

from persona_pipeline.core.errors import ConfigError, SourceError
from persona_pipeline.spark import session as spark_module
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.erasures import record

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def empty(warehouse: Warehouse) -> Warehouse:
    """Before there were any."""
    return without(warehouse, "candidates", "rejected_candidates")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two of ana's, one of somebody nobody knows, and one that is no score."""
    path = tmp_path / "lists.csv"
    path.write_text("user_id,item_id,score\nana,capo,1\nana,picks,2\neve,capo,1\nben,capo,high\n")
    return path


def tonight(warehouse: Warehouse, file: Path, **limits: Any) -> OneRun:
    return opened(
        warehouse, candidates={"file": str(file), "max_rejected_share": 0.5, "max_unknown_share": 0.5, **limits}
    )


def test_lists_are_ranked_by_score_and_go_with_their_file(empty: Warehouse, file: Path, spark: "SparkSession") -> None:
    run = tonight(empty, file)
    summary = run.do("candidates")
    figures = [summary[name] for name in ("lines", "unknown_users", "unknown_items", "rejected")]
    assert figures == [4, 1, 0, {"bad_score": 1}]
    assert written(summary) == {"rejected_candidates": (1, 0, 0), "candidates": (2, 0, 0)}
    assert kept(empty, "candidates") == [
        {"user_id": "ana", "item_id": "capo", "rank": 2, "score": 1.0},
        {"user_id": "ana", "item_id": "picks", "rank": 1, "score": 2.0},
    ]
    (refused,) = kept(empty, "rejected_candidates")
    assert (refused["source_file"], refused["source_line"], refused["detail"]) == ("lists.csv", 5, "high")
    run.again("candidates")
    with pytest.raises(SourceError, match="1 of 4 records refused"):
        tonight(empty, file, max_rejected_share=0.05).do("candidates")
    assert len(kept(empty, "candidates")) == 2  # as they were
    gone = opened(empty)
    assert written(gone.do("candidates")) == {"rejected_candidates": (0, 0, 1), "candidates": (0, 0, 2)}
    gone.again("candidates")


def test_without_a_file_there_is_nothing_to_do(empty: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_module, "session", lambda *_: pytest.fail("Spark started for nothing"))
    assert opened(empty).do("candidates")["lines"] == 0
    assert not empty.exists("candidates")


def test_a_list_that_came_after_the_opening_is_not_read(empty: Warehouse, file: Path, spark: "SparkSession") -> None:
    folder = file.parent / "lists"
    folder.mkdir()
    file.rename(folder / "a.csv")
    os.utime(folder / "a.csv", (1, 1))
    run = tonight(empty, folder)
    (folder / "b.csv").write_text("user_id,item_id,score\nben,capo,1\n")
    assert run.do("candidates")["lines"] == 4


@pytest.mark.parametrize("used", ["only", "fuse"])
def test_lists_that_are_to_be_used_must_be_given(empty: Warehouse, used: str) -> None:
    told = rf"candidates: {used} needs the lists of candidates\.file, which names none"
    with pytest.raises(ConfigError, match=told):
        opened(empty, user_item_topk={"candidates": used}).do("candidates")


def test_lists_of_somebody_erased_go_nowhere(empty: Warehouse, file: Path, spark: "SparkSession") -> None:
    record(empty, ["ben", "eve"], "ana", datetime(2024, 6, 12, tzinfo=UTC))
    summary = tonight(empty, file).do("candidates")
    assert [summary[name] for name in ("lines", "erased", "unknown_users", "rejected")] == [4, 2, 0, {}]
    assert kept(empty, "rejected_candidates") == []
