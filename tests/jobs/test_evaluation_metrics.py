"""The job `evaluation_metrics`: what a command line says is judged and told. Nights are stood in; tests/backtest runs them."""

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from helpers import AS_OF, Row
from one_run import kept, written
from stand_in_nights import USERS, StandInNights, met

from jobs import evaluation_metrics
from persona_pipeline.core.errors import LeakError
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.orchestrate.local import LocalRun
from persona_pipeline.runs.log import run_rows
from persona_pipeline.warehouse import Warehouse


@pytest.fixture
def nights(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandInNights:
    """In the place of the nights' processes; the command line is there too."""
    found = StandInNights(Encoder.load(built / "_artefacts" / "encoders" / "enc1"))

    def run_job(night: LocalRun, job: str, *_: Any) -> Row:
        return found.run_job(night, job)

    monkeypatch.setattr(LocalRun, "run_job", run_job)
    lines = [
        {"user_id": f"u{user}", "item_id": item, "rating": 5, "timestamp": 1} for user in range(4) for item in met(user)
    ]
    (tmp_path / "june.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    given = ["--warehouse", str(tmp_path / "backtest"), "--as-of", str(AS_OF), "--source", "jsonl"]
    given += ["--reviews", str(tmp_path / "june.jsonl"), "--cache", str(tmp_path / "cache"), "--no-baselines"]
    monkeypatch.setattr(sys, "argv", ["evaluation_metrics", *given])
    return found


def test_who_names_the_right_item_second_is_told_so(nights: StandInNights, tmp_path: Path) -> None:
    summary = evaluation_metrics.main()
    assert (summary["users"], summary["models"], summary["reference"]) == (4, ["persona"], "persona")
    root = Warehouse(tmp_path / "backtest")
    rows = kept(root, "evaluation_metrics")
    assert written(summary) == {"evaluation_metrics": (len(rows), 0, 0)}
    of_all = [row for row in rows if row["slice"] == "all"]
    about = {tuple(row[n] for n in ("evaluation_id", "as_of", "data", "split", "users")) for row in of_all}
    assert about == {(summary["evaluation_id"], AS_OF, "june.jsonl", "leave-last-out", 4)}
    found = {(row["metric"], row["cutoff"]): row["value"] for row in of_all}
    assert (found["hit", 1], found["hit", 5]) == (0.0, 1.0)
    assert found["ndcg", 10] == pytest.approx(0.63093, abs=1e-5)  # 1 / log2(3)
    by_user = pq.read_table(root.root / summary["by_user"])
    assert by_user["user_id"].to_pylist() == USERS
    # What is shared lies in the cache; the run is closed.
    assert (root.root / "test" / "text_embeddings").resolve() == tmp_path / "cache" / "text_embeddings"
    assert [row["outcome"] for row in run_rows(root)] == ["ended"]
    again = evaluation_metrics.main()
    assert again["evaluation_id"] == summary["evaluation_id"]
    assert written(again) == {"evaluation_metrics": (0, 0, 0)}


def test_a_day_and_an_extractor_reach_the_nights(
    nights: StandInNights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--split", "2024-06-04", "--extractor", "openai"])
    assert evaluation_metrics.main()["users"] == 4
    root = Warehouse(tmp_path / "backtest")
    assert {row["split"] for row in kept(root, "evaluation_metrics")} == {"2024-06-04"}
    assert '"extractor":"openai"' in run_rows(Warehouse(root.root / "test"))[-1]["config"]


def test_a_night_that_knows_the_answers_is_not_judged(nights: StandInNights, tmp_path: Path) -> None:
    nights.leaky = True
    with pytest.raises(LeakError, match="table user_histories"):
        evaluation_metrics.main()
    root = Warehouse(tmp_path / "backtest")
    assert not root.exists("evaluation_metrics")
    assert [row["outcome"] for row in run_rows(root)] == ["failed"]
