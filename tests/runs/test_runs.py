"""A run on record: fixed when it is opened, one at a time, and published only if it is whole."""

import argparse
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import AS_OF, arrow, put, put_all, shop
from killed_publication import record
from publishing import run
from rich.console import Console

from jobs import evaluation_metrics, item_personas
from jobs.runner import execute
from persona_pipeline.commands.runs_console import end_run, show_run, show_runs
from persona_pipeline.config import PipelineConfig, load_config
from persona_pipeline.core.errors import (
    BusyError,
    ConfigError,
    ContractError,
    PipelineError,
    ReleaseError,
    TransientError,
)
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.runs import opening
from persona_pipeline.runs.attempt import attempt
from persona_pipeline.runs.completeness import require_complete
from persona_pipeline.runs.context import RunContext, context_of
from persona_pipeline.runs.log import add_event, attempts, run_row, run_rows
from persona_pipeline.runs.opening import Input, check_input, close_failed, open_run
from persona_pipeline.warehouse import Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A shop up to its candidates; nothing is published."""
    found = Warehouse(tmp_path / "wh")
    put_all(found, shop())
    return found


def opened(warehouse: Warehouse, config: PipelineConfig | None = None, given: Input | None = None) -> str:
    return open_run(warehouse.root, AS_OF, config or load_config("local"), given or Input())


def task(
    warehouse: Warehouse, run_id: str, name: str, work: Callable[[RunContext], dict[str, Any]] = lambda _: {}
) -> dict[str, Any]:
    arguments = argparse.Namespace(warehouse=warehouse.root, run_id=run_id)
    return execute(name, lambda context, _: work(context), arguments)


def test_a_configuration_edited_between_two_tasks_changes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({"encoders": {"steps": 7}}))
    run_id = opened(warehouse, load_config(mine))
    seen: list[int] = []

    def look(context: RunContext) -> dict[str, Any]:
        seen.append(context.config.encoders.steps)
        return {}

    for steps in (7, 8):
        mine.write_text(yaml.safe_dump({"encoders": {"steps": steps}}))
        task(warehouse, run_id, f"task {steps}", look)
    assert seen == [7, 7]
    # A task run alone later, whatever the file says by then: it knows no file.
    assert context_of(warehouse.root, run_id, "encoders").config.encoders.steps == 7


def test_tasks_read_what_the_runs_own_tasks_left(warehouse: Warehouse) -> None:
    run_id = opened(warehouse)
    before = warehouse.version("item_summaries")
    # A stranger writes meanwhile: no task of this run sees it.
    warehouse.replace("item_summaries", arrow("item_summaries", shop()["item_summaries"][:1]))
    seen: dict[str, int] = {}

    def look(context: RunContext) -> dict[str, Any]:
        seen["summaries"] = context.warehouse.read("item_summaries").num_rows
        return {"n": 1}

    task(warehouse, run_id, "item_personas", look)
    assert seen["summaries"] == len(shop()["item_summaries"])

    def make(context: RunContext) -> dict[str, Any]:
        context.warehouse.replace("item_summaries", arrow("item_summaries", shop()["item_summaries"][:2]))
        return {}

    task(warehouse, run_id, "item_summaries", make)
    task(warehouse, run_id, "item_personas", look)
    assert seen["summaries"] == 2
    first, _, second = attempts(warehouse, run_id)[run_id]
    assert (first.reads[0]["version"], second.number) == (before, 2)
    assert first.reads[0]["rows"] == len(shop()["item_summaries"])


def test_a_task_is_refused_what_its_contract_does_not_say_it_reads(warehouse: Warehouse) -> None:
    run_id = opened(warehouse)

    def look(context: RunContext) -> dict[str, Any]:
        return {"n": context.warehouse.read("item_personas").num_rows}

    with pytest.raises(
        ContractError, match=r"task user_histories reads item_personas, which schemas/user_histories.yaml"
    ):
        task(warehouse, run_id, "user_histories", look)
    assert task(warehouse, run_id, "persona_vectors", look)["n"] > 0


def test_every_attempt_leaves_a_record_however_it_ends(warehouse: Warehouse) -> None:
    run_id = opened(warehouse)

    def fail(error: BaseException) -> Callable[[RunContext], dict[str, Any]]:
        def work(_: RunContext) -> dict[str, Any]:
            raise error

        return work

    for error in (PipelineError("mend it"), TransientError("wait"), ValueError("bug")):
        with pytest.raises(type(error)):
            task(warehouse, run_id, "encoders", fail(error))
    counted = {"encoder_id": "enc1", "llm": {"prompt_tokens": 5, "completion_tokens": 2}}
    summary = task(warehouse, run_id, "encoders", lambda _: counted)
    assert (summary["event"], summary["run_id"]) == ("finished", run_id)
    told = attempts(warehouse)[run_id]
    assert [(one.number, one.outcome, one.detail) for one in told] == [
        (1, "failed", "mend it"), (2, "try_again", "wait"), (3, "unexpected", "ValueError: bug"), (4, "succeeded", None),
    ]  # fmt: skip
    assert (told[3].prompt_tokens, told[3].reply_tokens, told[3].figures and told[3].figures["encoder_id"]) == (
        5,
        2,
        "enc1",
    )
    assert all(one.peak_memory and one.peak_memory > 2**20 for one in told)
    assert context_of(warehouse.root, run_id, "user_vectors").encoder_id() == "enc1"


def _killed_at_work(root: Path, run_id: str) -> None:
    def die() -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    attempt(context_of(root, run_id, "encoders"), "encoders", "", die)


def test_what_is_not_recommended_is_told_with_the_task_that_counted_it(warehouse: Warehouse) -> None:
    run_id = opened(warehouse)
    attempt(context_of(warehouse.root, run_id, "reviews"), "reviews", "", lambda: {"unavailable": {"recalled": 1_200}})
    assert "not recommended: 1,200 recalled" in shown(lambda console: show_run(warehouse.root, run_id, console))


def test_an_attempt_that_is_killed_is_known_to_have_died(warehouse: Warehouse) -> None:
    run_id = opened(warehouse)
    process = multiprocessing.get_context("spawn").Process(target=_killed_at_work, args=(warehouse.root, run_id))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (one,) = attempts(warehouse, run_id)[run_id]
    assert (one.task, one.outcome) == ("encoders", None)
    assert "died" in shown(lambda console: show_run(warehouse.root, run_id, console))
    # The next run closes it, and says so.
    other = opened(warehouse)
    assert (run_row(warehouse, run_id)["outcome"], run_row(warehouse, run_id)["detail"]) == (
        "broken_off",
        "encoders died",
    )
    assert other == f"{AS_OF}.2"
    with pytest.raises(PipelineError, match=rf"run {run_id} is over: {other} was opened"):
        context_of(warehouse.root, run_id, "encoders")


def test_a_second_run_is_refused_from_its_first_task_while_one_goes_on(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = opened(warehouse)
    told: list[str] = []

    def meanwhile(_: RunContext) -> dict[str, Any]:
        with pytest.raises(BusyError) as refused:
            opened(warehouse)
        told.append(str(refused.value))
        return {}

    task(warehouse, run_id, "encoders", meanwhile)
    assert told[0].startswith(f"run {run_id}, opened ")
    assert "its task encoders is at work" in told[0]
    # A scheduler's next task may begin at any moment, though none is at work now.
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "nightly_recommendations")
    task(warehouse, run_id, "persona_vectors")
    with pytest.raises(BusyError, match="its last task was at work at"):
        opened(warehouse)
    monkeypatch.setattr(opening, "IDLE", timedelta(0))
    assert opened(warehouse) == f"{AS_OF}.2"


def test_a_run_is_closed_by_hand_but_not_under_a_task_at_work(warehouse: Warehouse) -> None:
    run_id = opened(warehouse)
    console = Console(quiet=True)

    def meanwhile(_: RunContext) -> dict[str, Any]:
        with pytest.raises(PipelineError, match="encoders is at work"):
            end_run(warehouse.root, run_id, "no time", console)
        return {}

    task(warehouse, run_id, "encoders", meanwhile)
    end_run(warehouse.root, run_id, "no time", console)
    assert (run_row(warehouse, run_id)["outcome"], run_row(warehouse, run_id)["detail"]) == ("broken_off", "no time")
    with pytest.raises(PipelineError, match="has ended already"):
        end_run(warehouse.root, run_id, "no time", console)


def test_a_backtest_that_fails_does_not_stand_in_the_way_of_its_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews = tmp_path / "reviews.jsonl"
    reviews.write_text('{"user_id": "u", "item_id": "i", "rating": 5, "text": "t", "timestamp": 1}\n')
    given = ["--warehouse", str(tmp_path / "wh"), "--as-of", str(AS_OF), "--source", "jsonl", "--reviews", str(reviews)]
    monkeypatch.setattr(sys, "argv", ["evaluation_metrics", *given, "--split", "never"])
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "backtest")
    for _ in range(2):
        with pytest.raises(ConfigError, match="--split never"):
            evaluation_metrics.main()
    rows = run_rows(Warehouse(tmp_path / "wh"))
    assert [(row["outcome"], row["detail"].startswith("evaluation_metrics: --split never")) for row in rows] == [
        ("failed", True)
    ] * 2


def test_the_input_is_the_one_that_was_there(warehouse: Warehouse, tmp_path: Path) -> None:
    reviews = tmp_path / "reviews.jsonl"
    reviews.write_text('{"user_id": "u", "item_id": "i", "rating": 5, "text": "t", "timestamp": 1}\n')
    run_id = opened(warehouse, given=Input("jsonl", reviews))
    row = run_row(warehouse, run_id)
    assert [(file["kind"], file["bytes"]) for file in row["input_files"]] == [("reviews", reviews.stat().st_size)]
    assert check_input(row, ("reviews",)) == {"reviews": row["input_files"]}
    told = r"reviews.jsonl: not the file of \d+ bytes that it was when run .* was opened"
    then = reviews.stat().st_mtime
    for other in (reviews.read_text().replace("5", "4"), "more\n"):  # of the same size, of another
        reviews.write_text(other)
        os.utime(reviews, (then, then))
        with pytest.raises(PipelineError, match=told):
            check_input(row, ("reviews",))


def test_ready_made_personas_are_input_of_the_run(warehouse: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "personas.jsonl"
    file.write_text('{"item_id": "capo", "personas": []}\n')
    config = load_config("local", {"extraction": {"published": str(file)}})
    row = run_row(warehouse, opened(warehouse, config))
    assert [(one["kind"], one["path"]) for one in row["input_files"]] == [("published", str(file))]
    before = opening.made_from(warehouse.root, AS_OF, config, Input())
    file.write_text('{"item_id": "strap", "personas": []}\n')
    assert opening.made_from(warehouse.root, AS_OF, config, Input()) != before
    arguments = argparse.Namespace(warehouse=warehouse.root, run_id=row["run_id"], engine=False)
    with pytest.raises(PipelineError, match="not the file of"):
        execute("item_personas", item_personas.job, arguments)


@pytest.mark.parametrize("setting", ["withheld", "withdrawn"])
def test_a_file_that_is_not_there_is_told_when_the_run_is_opened(warehouse: Warehouse, setting: str) -> None:
    with pytest.raises(PipelineError, match=r"gone: cannot be read: No such file"):
        opened(warehouse, load_config("local", {"reviews": {setting: "gone"}}))


def test_what_a_run_is_made_from_changes_with_each_ingredient(warehouse: Warehouse, tmp_path: Path) -> None:
    reviews = tmp_path / "reviews.jsonl"
    line = '{"user_id": "u", "item_id": "i", "rating": 5, "text": "t", "timestamp": 1}\n'
    reviews.write_text(line)

    def made(as_of: date = AS_OF, **encoders: int) -> str:
        config = load_config("local", {"encoders": encoders})
        return opening.made_from(warehouse.root, as_of, config, Input("jsonl", reviews))

    found = [made(), made(), made(seed=1), made(AS_OF + timedelta(days=1))]
    reviews.write_text(line * 2)
    assert len(set(found)) == 3
    assert found[0] == found[1]
    assert made() not in found


def test_a_whole_run_may_be_published_and_one_with_a_hole_may_not(warehouse: Warehouse) -> None:
    run_id = record(warehouse, AS_OF, load_config("local"))
    require_complete(context_of(warehouse.root, run_id, "releases"))
    failed = {"run_id": run_id, "task": "user_vectors", "part": "", "attempt": 2}
    add_event(warehouse, {**failed, "event": "started", "at": datetime.now(UTC)})
    with pytest.raises(ReleaseError, match=r"not done: user_vectors \(died\)"):
        require_complete(context_of(warehouse.root, run_id, "releases"))
    other = opened(warehouse)
    with pytest.raises(ReleaseError, match=r"never run: .*reviews, .*user_item_topk\. Run these tasks"):
        require_complete(context_of(warehouse.root, other, "releases"))


def test_a_task_that_read_what_is_no_longer_so_stops_the_run(warehouse: Warehouse) -> None:
    run_id = record(warehouse, AS_OF, load_config("local"))

    def read(context: RunContext) -> dict[str, Any]:
        context.warehouse.read("item_summaries")
        return {}

    task(warehouse, run_id, "item_personas", read)
    require_complete(context_of(warehouse.root, run_id, "releases"))

    def write(context: RunContext) -> dict[str, Any]:
        context.warehouse.replace("item_summaries", arrow("item_summaries", shop()["item_summaries"][:2]))
        return {}

    task(warehouse, run_id, "item_summaries", write)  # cleared alone, without what comes after it
    with pytest.raises(
        ReleaseError, match=r"item_personas read item_summaries at version 0, but its task left version 1 since"
    ):
        require_complete(context_of(warehouse.root, run_id, "releases"))
    task(warehouse, run_id, "item_personas", read)
    require_complete(context_of(warehouse.root, run_id, "releases"))


def test_what_was_read_of_a_table_that_a_later_task_makes_is_what_the_run_found(warehouse: Warehouse) -> None:
    run_id = record(warehouse, AS_OF, load_config("local"))

    def read(context: RunContext) -> dict[str, Any]:
        context.warehouse.read("encoders")
        return {}

    def train(score: float) -> Callable[[RunContext], dict[str, Any]]:
        def write(context: RunContext) -> dict[str, Any]:
            rows = [{**shop()["encoders"][0], "ndcg_difference": score}]
            context.warehouse.upsert("encoders", arrow("encoders", rows))
            return {"encoder_id": "enc1"}

        return write

    task(warehouse, run_id, "training_pairs", read)
    task(warehouse, run_id, "encoders", train(0.1))
    task(warehouse, run_id, "persona_vectors", read)
    require_complete(context_of(warehouse.root, run_id, "releases"))
    task(warehouse, run_id, "training_pairs", read)  # again: it is given the same
    require_complete(context_of(warehouse.root, run_id, "releases"))
    task(warehouse, run_id, "encoders", train(0.2))
    with pytest.raises(ReleaseError, match=r"published: persona_vectors read encoders at version 1, .* left version 2"):
        require_complete(context_of(warehouse.root, run_id, "releases"))


def test_a_run_whose_parent_was_withdrawn_in_between_is_run_again(warehouse: Warehouse) -> None:
    published = run(warehouse, AS_OF - timedelta(days=1))
    run_id = record(warehouse, AS_OF, load_config("local"))
    require_complete(context_of(warehouse.root, run_id, "releases"))
    warehouse.upsert("releases", arrow("releases", [{**published, "verdict": "rolled_back"}]))
    with pytest.raises(
        ReleaseError, match=rf"started from {published['release_id']}, but .* would start from nothing now"
    ):
        require_complete(context_of(warehouse.root, run_id, "releases"))


def test_candidates_that_another_process_wrote_stop_the_run(warehouse: Warehouse) -> None:
    run_id = record(warehouse, AS_OF, load_config("local"))
    put(staged_tables(warehouse), "user_item_topk", shop()["user_item_topk"][:4])
    with pytest.raises(ReleaseError, match="the candidate of user_item_topk is at version 1, but its task left 0"):
        require_complete(context_of(warehouse.root, run_id, "releases"))


def test_a_shard_that_is_missing_stops_the_run(warehouse: Warehouse) -> None:
    run_id = record(warehouse, AS_OF, load_config("local"))
    task(warehouse, run_id, "extraction_plan", lambda _: {"shards": [0, 1]})
    with pytest.raises(ReleaseError, match="never run: extraction_shard 0, extraction_shard 1"):
        require_complete(context_of(warehouse.root, run_id, "releases"))


def test_runs_are_listed_and_shown(warehouse: Warehouse) -> None:
    assert "no run has been opened" in shown(lambda console: show_runs(warehouse.root, 5, console))
    with pytest.raises(PipelineError, match="no run has been opened"):
        show_run(warehouse.root, None, Console(quiet=True))
    run_id = opened(warehouse)
    with pytest.raises(PipelineError):
        task(warehouse, run_id, "encoders", lambda _: (_ for _ in ()).throw(PipelineError("too few \x1b[31musers")))
    close_failed(warehouse, run_id)
    listed = shown(lambda console: show_runs(warehouse.root, 5, console))
    assert f"{run_id}" in listed
    assert "encoders: too few" in listed
    assert "\x1b[31m" not in listed
    one = shown(lambda console: show_run(warehouse.root, None, console))
    assert "none, a first night" in one
    assert "failed" in one
    assert [row["outcome"] for row in run_rows(warehouse)] == ["failed"]
    assert json.loads(run_rows(warehouse)[0]["config"])["encoders"]["steps"] == load_config("local").encoders.steps


def shown(print_to: Callable[[Console], None]) -> str:
    console = Console(width=200, record=True, file=StringIO())
    print_to(console)
    return console.export_text()
