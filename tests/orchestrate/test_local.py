"""Which jobs of a night are run again, and what a job that fails says."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from persona_pipeline.config import load_config
from persona_pipeline.core.errors import BusyError, PipelineError
from persona_pipeline.orchestrate.local import LocalRun, Summary
from persona_pipeline.runs.attempt import attempt
from persona_pipeline.runs.context import context_of
from persona_pipeline.runs.log import run_rows
from persona_pipeline.runs.resume import holding
from persona_pipeline.warehouse import Warehouse

CONSOLE = Console(quiet=True)


class BrokenOffError(Exception):
    pass


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Jobs run, in order; `c` breaks off once."""
    found: list[str] = []

    def run_job(self: LocalRun, job: str, run_id: str, console: Console, held: dict[str, str]) -> Summary:
        def work() -> dict[str, Any]:
            found.append(job)
            if job == "c" and found.count("c") == 1:
                raise BrokenOffError
            return {"n": len(found)}

        return attempt(context_of(self.warehouse, run_id, job), job, "", work)

    monkeypatch.setattr(LocalRun, "run_job", run_job)
    return found


def night(root: Path, seed: int = 0) -> LocalRun:
    (root / "reviews.jsonl").write_text('{"user_id": "u", "item_id": "i", "rating": 5, "text": "t", "timestamp": 1}\n')
    config = load_config("local", {"encoders": {"seed": seed}})
    return LocalRun(root / "wh", date(2024, 6, 30), config, "jsonl", root / "reviews.jsonl")


def outcomes(root: Path) -> list[str]:
    return [str(row["outcome"]) for row in run_rows(Warehouse(root / "wh"))]


def test_one_broken_off_goes_on_where_it_was(tmp_path: Path, ran: list[str]) -> None:
    with pytest.raises(BrokenOffError):
        night(tmp_path).run("abcd", CONSOLE, resume=True)
    assert outcomes(tmp_path) == ["failed"]
    summaries = night(tmp_path).run("abcd", CONSOLE, resume=True)
    assert ran == ["a", "b", "c", "c", "d"]
    assert {job: summary["n"] for job, summary in summaries.items()} == {"a": 1, "b": 2, "c": 4, "d": 5}
    assert len(outcomes(tmp_path)) == 1


def test_one_made_from_something_else_is_run_again(tmp_path: Path, ran: list[str]) -> None:
    for seed in (1, 1, 2, 1):
        night(tmp_path, seed).run("ab", CONSOLE, resume=True)
    assert "".join(ran) == "ab" + "ab" + "ab"
    assert outcomes(tmp_path) == ["ended"] * 3


def test_a_job_broken_off_does_not_stand_as_it_was_before(tmp_path: Path, ran: list[str]) -> None:
    ran.append("c")  # its one failure is behind it
    night(tmp_path, 1).run("abc", CONSOLE, resume=True)
    del ran[:]
    with pytest.raises(BrokenOffError):
        night(tmp_path, 2).run("c", CONSOLE, resume=True)
    night(tmp_path, 1).run("abc", CONSOLE, resume=True)
    assert ran == ["c", "c"]


def test_nothing_stands_where_nobody_asks_for_it(tmp_path: Path, ran: list[str]) -> None:
    for _ in range(2):
        night(tmp_path).run("ab", CONSOLE)
    assert "".join(ran) == "abab"


def test_a_second_night_at_the_same_time_is_refused(tmp_path: Path, ran: list[str]) -> None:
    with holding(tmp_path / "wh"), pytest.raises(BusyError, match=r"runner in .* is held by another process"):
        night(tmp_path).run("ab", CONSOLE)
    assert ran == []


def test_a_job_that_fails_is_told_with_its_log(tmp_path: Path) -> None:
    made = night(tmp_path)
    (tmp_path / "reviews.jsonl").write_text("nonsense but of a key: user_id item_id rating text timestamp\n" * 9)
    with pytest.raises(PipelineError):
        made.run(("reviews",), CONSOLE)
    made = night(tmp_path)
    with pytest.raises(PipelineError, match=r"(?s)^encoders: .*\nThe whole log is in .*2024-06-30\.1\.encoders\.log"):
        made.run(("encoders",), CONSOLE)
    assert '"event": "failed"' in (tmp_path / "wh" / "_logs" / "2024-06-30.1.encoders.log").read_text()


def test_a_job_is_a_process_of_its_own_and_its_last_line_its_summary(tmp_path: Path) -> None:
    summary = night(tmp_path).run(("extraction_plan",), CONSOLE)["extraction_plan"]
    assert (summary["event"], summary["shards"]) == ("finished", [])  # without an LLM there is nothing to plan
