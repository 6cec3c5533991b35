"""Print `runs` and `task_runs`: inputs, times, outcomes, tokens and errors."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.core.terminal import one_line
from persona_pipeline.runs.log import Attempt, Row, attempts, run_row, run_rows
from persona_pipeline.runs.opening import close_run, lock_name
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.erasures import pending

_COLOURS = {"published": "green", "ended": "green", "succeeded": "green", "at work": "cyan", "goes on": "cyan"}
_NUMBERS = ("attempt", "seconds", "minutes", "tasks", "tokens", "peak memory", "read", "wrote")


def show_runs(root: Path, limit: int, console: Console) -> None:
    """Print the last runs, newest first."""
    warehouse = Warehouse(root)
    if found := pending(root):
        waits = f"an erasure begun {found.began:%Y-%m-%d %H:%M:%S} UTC has not ended; no run is opened until it has"
        console.print(f"{waits}: persona-pipeline erase --go-on", markup=False, soft_wrap=True)
    rows = run_rows(warehouse)[::-1][:limit]
    if not rows:
        console.print(f"no run has been opened in {root} yet; `make nightly` runs a night", markup=False)
        return
    of_run = attempts(warehouse)
    table = _table("run", "opened, UTC", "outcome", "minutes", "tasks", "tokens", "about")
    for row in rows:
        told = of_run.get(row["run_id"], [])
        outcome = row["outcome"] or ("goes on" if any(_holds(warehouse, one) for one in told) else "open")
        tokens = sum((one.prompt_tokens or 0) + (one.reply_tokens or 0) for one in told)
        table.add_row(
            row["run_id"],
            f"{row['opened_at']:%Y-%m-%d %H:%M:%S}",
            Text(outcome, _COLOURS.get(outcome, "red")),
            f"{sum(one.seconds or 0.0 for one in told) / 60:.1f}",
            f"{len({(one.task, one.part) for one in told if one.succeeded})}",
            f"{tokens:,}" if tokens else "",
            one_line(row["detail"] or "", 200),
        )
    console.print(table)


def show_run(root: Path, run_id: str | None, console: Console) -> None:
    """Print one run, the newest by default: its inputs and attempts. Raises PipelineError for none."""
    warehouse = Warehouse(root)
    rows = run_rows(warehouse)
    if run_id is None and not rows:
        raise PipelineError(f"no run has been opened in {root} yet; `make nightly` runs a night")
    row = run_row(warehouse, run_id or rows[-1]["run_id"])
    for name, value in _about(row):
        console.print(Text.assemble((f"{name:<11}", "dim"), one_line(value, 400)), soft_wrap=True)
    console.print()
    table = _table("task", "attempt", "started, UTC", "outcome", "seconds", "peak memory", "read", "wrote", "about")
    for one in attempts(warehouse, row["run_id"]).get(row["run_id"], []):
        outcome = one.outcome or ("at work" if _holds(warehouse, one) else "died")
        table.add_row(
            f"{one.task} {one.part}".strip(),
            str(one.number),
            f"{one.started_at:%H:%M:%S}",
            Text(outcome, _COLOURS.get(outcome, "red")),
            f"{one.seconds:.1f}" if one.seconds is not None else "",
            f"{one.peak_memory / 2**20:,.0f} MB" if one.peak_memory else "",
            f"{sum(read['rows'] or 0 for read in one.reads):,}" if one.reads else "",
            _written(one.writes),
            one_line(one.detail or "", 300),
        )
    console.print(table)


def end_run(root: Path, run_id: str, reason: str, console: Console) -> None:
    """Close a run by hand, so that another may begin. Raises PipelineError while one of its tasks is running."""
    warehouse = Warehouse(root, {"job": "runs close"})
    row = run_row(warehouse, run_id)
    if row["closed_at"]:
        raise PipelineError(f"run {run_id} has ended already: {row['outcome']}")
    busy = [one.task for one in attempts(warehouse, run_id).get(run_id, []) if _holds(warehouse, one)]
    if busy:
        raise PipelineError(f"run {run_id} cannot be closed: {', '.join(busy)} is at work; end that process first")
    close_run(warehouse, run_id, "broken_off", reason)
    console.print(f"run {run_id} is closed; another may begin", markup=False)


def _about(row: Row) -> Iterable[tuple[str, str]]:
    yield "run", f"{row['run_id']}, opened {row['opened_at']:%Y-%m-%d %H:%M:%S} UTC"
    ended = f", ended {row['closed_at']:%Y-%m-%d %H:%M:%S} UTC" if row["closed_at"] else ""
    yield "outcome", (row["outcome"] or "open") + ended + (f": {row['detail']}" if row["detail"] else "")
    yield "parent", row["parent_release_id"] or "none, a first night"
    yield "made from", f"{row['made_from']} (configuration {row['config_digest']}, code {row['code'][:12]})"
    for file in row["input_files"]:
        yield file["kind"], f"{file['path']}, {file['bytes']:,} bytes, sha256 {file['digest'][:12]}"
    for given in row["overrides"]:
        yield "override", f"{given['override']} {given['encoder_id']} by {given['by']} after {given['after']}"


def _holds(warehouse: Warehouse, one: Attempt) -> bool:
    return one.outcome is None and warehouse.holder(lock_name(one.task, one.part)) is not None


def _written(writes: Iterable[Row]) -> str:
    marks = (("+", "inserted"), ("~", "updated"), ("-", "deleted"))
    counts = {mark: sum(write[kind] or 0 for write in writes) for mark, kind in marks}
    return " ".join(f"{mark}{count:,}" for mark, count in counts.items() if count)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in _NUMBERS else "left", overflow="fold")
    return table
