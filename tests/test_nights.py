"""Which jobs of a night are run again, and what a job that fails says."""

from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from persona_pipeline.errors import PipelineError
from persona_pipeline.nights import Night, Summary

CONSOLE = Console(quiet=True)


class BrokenOffError(Exception):
    pass


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Jobs run, in order; `c` breaks off once."""
    found: list[str] = []

    def run_job(self: Night, job: str, console: Console) -> Summary:
        found.append(job)
        if job == "c" and found.count("c") == 1:
            raise BrokenOffError
        return {"job": job, "n": len(found)}

    monkeypatch.setattr(Night, "run_job", run_job)
    return found


def night(root: Path) -> Night:
    return Night(root, date(2024, 6, 30), "local", "jsonl", root / "reviews.jsonl")


def test_one_broken_off_goes_on_where_it_was(tmp_path: Path, ran: list[str]) -> None:
    with pytest.raises(BrokenOffError):
        night(tmp_path).run("abcd", CONSOLE, "inputs 1")
    summaries = night(tmp_path).run("abcd", CONSOLE, "inputs 1")
    assert ran == ["a", "b", "c", "c", "d"]
    assert {job: summary["n"] for job, summary in summaries.items()} == {"a": 1, "b": 2, "c": 4, "d": 5}


def test_one_made_from_something_else_is_run_again(tmp_path: Path, ran: list[str]) -> None:
    for made_from in ("1", "1", "2", "1"):
        night(tmp_path).run("ab", CONSOLE, made_from)
    assert "".join(ran) == "ab" + "ab" + "ab"


def test_a_job_broken_off_does_not_stand_as_it_was_before(tmp_path: Path, ran: list[str]) -> None:
    ran.append("c")  # its one failure is behind it
    night(tmp_path).run("abc", CONSOLE, "1")
    del ran[:]
    with pytest.raises(BrokenOffError):
        night(tmp_path).run("c", CONSOLE, "2")
    night(tmp_path).run("abc", CONSOLE, "1")
    assert ran == ["c", "c"]


def test_nothing_stands_where_nobody_says_what_it_is_made_from(tmp_path: Path, ran: list[str]) -> None:
    for _ in range(2):
        night(tmp_path).run("ab", CONSOLE)
    assert "".join(ran) == "abab"


def test_a_job_that_fails_is_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(
        PipelineError, match=r"(?s)^reviews: .*reviews\.jsonl.*\nThe whole log is in .*2024-06-30\.reviews\.log"
    ):
        night(tmp_path).run(("reviews",), CONSOLE)
    assert '"event": "failed"' in (tmp_path / "_logs" / "2024-06-30.reviews.log").read_text()


def test_a_job_is_a_process_of_its_own_and_its_last_line_its_summary(tmp_path: Path) -> None:
    summary = night(tmp_path).run(("extraction_plan",), CONSOLE)["extraction_plan"]
    assert (summary["event"], summary["shards"]) == ("finished", [])  # without an LLM there is nothing to plan
