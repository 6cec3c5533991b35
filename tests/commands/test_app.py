"""What a person sees when something is wrong: one clear message, exit code 1, nothing left behind."""

import argparse
import gzip
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs.runner import run
from persona_pipeline.config import PipelineConfig
from persona_pipeline.core.errors import TransientError
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import Input, open_run

LINE = {"user_id": "u", "item_id": "i", "rating": 5, "text": "Good for travel.", "timestamp": 1_718_000_000}
COMMAND = str(Path(sys.executable).parent / "persona-pipeline")


def pipeline(tmp_path: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": os.environ["PATH"] if path is None else path}
    if path is not None:
        environment.pop("JAVA_HOME", None)
    return subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )


def nightly(tmp_path: Path, *arguments: str, path: str | None = None) -> str:
    """What a refused `nightly` prints, on one line; it must end with 1 and write nothing."""
    done = pipeline(tmp_path, "nightly", "--warehouse", "wh", *arguments, path=path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "wh").exists()
    return " ".join(done.stderr.split())


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(LINE) + "\n").encode()))
    return path


def test_missing_file(tmp_path: Path) -> None:
    assert (
        nightly(tmp_path, "--source", "jsonl", "--reviews", "nowhere.jsonl")
        == "error: reviews: no file or folder nowhere.jsonl"
    )


def test_wrong_column(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(
        json.dumps({**LINE, "stars": 5, "rating": None} | {}).replace('"rating"', '"score"')
    )
    message = nightly(tmp_path, "--source", "jsonl", "--reviews", "r.jsonl")
    assert "r.jsonl: reviews of source jsonl need the key rating, absent from the first 1 records" in message


def test_truncated_gzip(tmp_path: Path, reviews: Path) -> None:
    reviews.write_bytes(reviews.read_bytes()[:-6])
    assert "reviews.jsonl.gz: the gzip file is truncated or damaged" in nightly(
        tmp_path, "--source", "jsonl", "--reviews", str(reviews)
    )


def test_misspelt_config_key(tmp_path: Path, reviews: Path) -> None:
    (tmp_path / "mine.yaml").write_text("encoders: {half_live: 3}\n")
    message = nightly(tmp_path, "--source", "jsonl", "--reviews", str(reviews), "--config", "mine.yaml")
    assert message == "error: config mine.yaml: unknown key encoders.half_live; did you mean half_life?"


def test_no_java(tmp_path: Path, reviews: Path) -> None:
    message = nightly(tmp_path, "--source", "jsonl", "--reviews", str(reviews), path="/nonexistent")
    assert message.startswith("error: Spark needs Java 17")


def test_bad_as_of(tmp_path: Path, reviews: Path) -> None:
    message = nightly(tmp_path, "--source", "jsonl", "--reviews", str(reviews), "--as-of", "tomorrow")
    assert message == "error: --as-of tomorrow: expected a date such as 2024-06-30"


def test_top_before_any_release(tmp_path: Path) -> None:
    done = pipeline(tmp_path, "top", "u")
    assert done.returncode == 1
    assert "nothing has been published" in " ".join(done.stderr.split())


def test_trouble_that_may_pass_ends_with_75(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlucky(_context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
        raise TransientError("the server is busy")

    run_id = open_run(tmp_path, date(2024, 1, 1), PipelineConfig(), Input())
    monkeypatch.setattr(sys, "argv", ["unlucky", "--warehouse", str(tmp_path), "--run-id", run_id])
    with pytest.raises(SystemExit) as ended:
        run("unlucky", unlucky)
    assert ended.value.code == 75


def test_job_faults_end_with_65(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs.encoders", "--warehouse", str(tmp_path), "--run-id", "June"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 65
    assert done.stderr.startswith(f"encoders: there is no run June in {tmp_path}; `persona-pipeline runs list` shows")
