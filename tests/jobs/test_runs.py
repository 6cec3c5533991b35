"""The job `runs` on a small input: what a run is made from is on record before anything is read."""

import argparse
import os
import sys
from pathlib import Path

import pytest
from helpers import AS_OF
from one_run import kept

from jobs import runs
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.runs.log import attempts
from persona_pipeline.warehouse import Warehouse

LINE = '{"user_id": "u", "item_id": "i", "rating": 5, "timestamp": 1}\n'


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the scheduler says to it."""
    (tmp_path / "reviews.jsonl").write_text(LINE)
    where = ["--warehouse", str(tmp_path / "new"), "--as-of", str(AS_OF)]
    (tmp_path / "items.jsonl").write_text('{"item_id": "i"}\n')
    found = ["runs", *where, "--source", "jsonl", "--reviews", str(tmp_path / "reviews.jsonl"), "--extractor", "openai"]
    found += ["--items", str(tmp_path / "items.jsonl")]
    monkeypatch.setattr(sys, "argv", found)
    return found


def test_a_run_is_opened_and_told_by_its_id(asked: list[str], tmp_path: Path) -> None:
    summary = runs.main()
    assert (summary["job"], summary["run_id"], summary["input_files"]) == ("runs", f"{AS_OF}.1", 2)
    (row,) = kept(Warehouse(tmp_path / "new"), "runs")
    assert (row["as_of"], row["source"], row["closed_at"], row["table_versions"]) == (AS_OF, "jsonl", None, [])
    assert (row["made_from"], row["code"]) == (summary["made_from"], summary["code"])
    assert '"extractor":"openai"' in row["config"]
    file, items = row["input_files"]
    assert (items["kind"], items["bytes"]) == ("items", 17)
    assert (file["kind"], Path(file["path"]).name, file["bytes"]) == ("reviews", "reviews.jsonl", len(LINE))
    (one,) = attempts(Warehouse(tmp_path / "new"))[summary["run_id"]]
    assert (one.task, one.outcome, one.figures and one.figures["input_files"]) == ("runs", "succeeded", 2)


def test_files_that_are_not_read_are_counted(asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("r1.jsonl", "r2.txt", "notes.md", "_SUCCESS"):
        (folder / name).write_text(LINE)
        os.utime(folder / name, (1, 1))
    monkeypatch.setattr(sys, "argv", [*asked, "--reviews", str(folder)])
    summary = runs.main()
    assert (summary["input_files"], summary["hidden_files"], summary["other_files"]) == (2, 1, 2)


def test_the_same_night_again_is_another_run_made_from_the_same(asked: list[str], tmp_path: Path) -> None:
    first, second = runs.main(), runs.main()
    assert second["run_id"] == f"{AS_OF}.2"
    assert second["made_from"] == first["made_from"]
    before, after = kept(Warehouse(tmp_path / "new"), "runs")
    assert (before["outcome"], after["outcome"]) == ("broken_off", None)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--source", "ebay", "ebay"), ("--as-of", "yesterday", "yesterday"), ("--config", "cloud", "cloud")],
)
def test_what_makes_no_sense_opens_nothing(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, value: str, said: str
) -> None:
    monkeypatch.setattr(sys, "argv", [*asked, option, value])
    with pytest.raises(ConfigError, match=said):
        runs.main()
    assert not Warehouse(tmp_path / "new").exists("runs")


def test_its_options_are_those_the_night_gives_it(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    runs.options(parser)
    required = {action.dest for action in parser._actions if action.required}
    assert required == {"warehouse", "as_of", "source"}
