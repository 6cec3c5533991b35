"""The job `interactions` on a small file: every line is an event, set aside with a reason, or not yet due."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from one_run import OneRun, kept, opened, written

from persona_pipeline.core.errors import SourceError
from persona_pipeline.runs.opening import Input
from persona_pipeline.spark import session as spark_module
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def event(number: int, user: str, item: str, kind: str, when: str, **more: Any) -> dict[str, Any]:
    return {"interaction_id": f"e{number}", "user_id": user, "item_id": item, "kind": kind, "timestamp": when} | more


EVENTS = [
    event(1, "eve", "capo", "purchase", "2024-06-01"),
    event(1, "eve", "capo", "purchase", "2024-06-01"),  # the same line again
    event(2, "eve", "strap", "click", "2024-06-02"),
    event(2, "eve", "strap", "click", "2024-06-03"),  # corrected
    event(3, "eve", "picks", "return", "2024-06-04"),
    event(3, "fay", "picks", "return", "2024-06-04"),  # under another's id
    event(4, "fay", "picks", "purchase", "2024-06-30"),  # tomorrow
    event(5, "fay", "tuner", "shrug", "2024-06-04"),
    event(6, "fay", "tuner", "purchase", "2024-06-05"),
]
WEIGHTS = {"purchase": 1, "click": 0.2, "return": -1}


@pytest.fixture
def empty(tmp_path: Path) -> Warehouse:
    """Before the first night."""
    return Warehouse(tmp_path / "new")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in EVENTS))
    return path


def tonight(warehouse: Warehouse, file: Path, **more: Any) -> OneRun:
    events = {"file": str(file), "weights": WEIGHTS, "max_rejected_share": 0.3}
    return opened(warehouse, Input("jsonl"), interactions={**events, **more.pop("interactions", {})}, **more)


def test_every_line_ends_in_one_place(empty: Warehouse, file: Path, tmp_path: Path, spark: "SparkSession") -> None:
    pq.write_table(pa.table({"review_id": ["event:e6", "r1"]}), tmp_path / "withheld.parquet")
    run = tonight(empty, file, reviews={"withheld": str(tmp_path / "withheld.parquet")})
    summary = run.do("interactions")
    assert [summary[n] for n in ("lines", "not_yet", "withheld", "erased")] == [9, 1, 1, 0]
    assert summary["rejected"] == {"copy": 1, "duplicate_id": 1, "edited": 1, "unknown_kind": 1}
    assert written(summary) == {"rejected_interactions": (4, 0, 0), "interactions": (3, 0, 0)}
    assert sum(summary["rejected"].values()) + 1 + 1 + 3 == summary["lines"]
    rows = kept(empty, "interactions")
    assert [(row["interaction_id"], row["user_id"], row["weight"], row["source_line"]) for row in rows] == [
        ("event:e1", "eve", 1.0, 1), ("event:e2", "eve", 0.2, 4), ("event:e3", "eve", -1.0, 5)
    ]  # fmt: skip
    aside = {row["source_line"]: (row["reason"], row["detail"]) for row in kept(empty, "rejected_interactions")}
    assert aside == {
        2: ("copy", None), 3: ("edited", None), 6: ("duplicate_id", None), 8: ("unknown_kind", "shrug")
    }  # fmt: skip
    run.again("interactions")


def test_a_night_without_the_file_forgets_it(empty: Warehouse, file: Path, spark: "SparkSession") -> None:
    tonight(empty, file).do("interactions")
    gone = opened(empty)
    assert written(gone.do("interactions")) == {"interactions": (0, 0, 4), "rejected_interactions": (0, 0, 4)}
    gone.again("interactions")


def test_too_many_refusals_say_what_to_configure(empty: Warehouse, file: Path, spark: "SparkSession") -> None:
    told = r"interactions: 6 of 9 records refused .*unknown_kind 5.* Say in interactions\.weights what each kind weighs"
    with pytest.raises(SourceError, match=told):
        tonight(empty, file, interactions={"weights": {"return": -1, "click": 0.1}}).do("interactions")
    assert not empty.exists("interactions")
    assert len(kept(empty, "rejected_interactions")) == 7


def test_without_a_file_there_is_nothing_to_do(empty: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_module, "session", lambda *_: pytest.fail("Spark started for nothing"))
    assert opened(empty).do("interactions")["lines"] == 0
    assert not empty.exists("interactions")
