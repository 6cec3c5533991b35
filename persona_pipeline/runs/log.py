"""Read and append rows of `runs` and `task_runs`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.warehouse import Warehouse

RUNS, TASK_RUNS = "runs", "task_runs"

_TOLD = ("outcome", "detail", "seconds", "peak_memory", "prompt_tokens", "reply_tokens")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a task; `ended_at`, `outcome` and all later fields are None while it is running, or if it died."""

    task: str
    part: str
    number: int
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    detail: str | None = None
    seconds: float | None = None
    peak_memory: int | None = None
    reads: Sequence[Row] = ()
    writes: Sequence[Row] = ()
    prompt_tokens: int | None = None
    reply_tokens: int | None = None
    figures: Row | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the task succeeded."""
        return self.outcome == "succeeded"

    def summary(self) -> Row:
        """The task's summary, as its process returned it."""
        candidate = [write for write in self.writes if write["table"].startswith("_candidates/")]
        written = [write for write in self.writes if write not in candidate]
        return {"job": self.task, "seconds": self.seconds, "written": [*written, *candidate], **(self.figures or {})}


def run_rows(warehouse: Warehouse) -> list[Row]:
    """Every row of `runs`, oldest first."""
    rows: list[Row] = warehouse.read(RUNS).to_pylist()
    return sorted(rows, key=lambda row: (row["opened_at"], row["run_id"]))


def run_row(warehouse: Warehouse, run_id: str) -> Row:
    """The row of a run. Raises PipelineError where there is none."""
    for row in run_rows(warehouse):
        if row["run_id"] == run_id:
            return row
    raise PipelineError(
        f"there is no run {run_id} in {warehouse.root}; `persona-pipeline runs list` shows those there are, and "
        "`python -m jobs.runs` opens one"
    )


def write_run(warehouse: Warehouse, row: Row) -> None:
    """Add a run, or record its end."""
    warehouse.upsert(RUNS, pa.Table.from_pylist([row], load_contract(RUNS).arrow_schema()))


def attempts(warehouse: Warehouse, run_id: str | None = None) -> dict[str, list[Attempt]]:
    """Read attempts by run, of all runs or of one, in the order they started."""
    rows = warehouse.read(TASK_RUNS, where=f"run_id = '{run_id}'" if run_id else None).to_pylist()
    found: dict[str, list[Attempt]] = {}
    for one in _folded(rows):
        found.setdefault(one[0], []).append(one[1])
    return {run: sorted(of_run, key=lambda one: (one.started_at, one.task, one.part)) for run, of_run in found.items()}


def _folded(rows: Iterable[Row]) -> Iterable[tuple[str, Attempt]]:
    events: dict[tuple[str, str, str, int], dict[str, Row]] = {}
    for row in rows:
        events.setdefault((row["run_id"], row["task"], row["part"], row["attempt"]), {})[row["event"]] = row
    for (run_id, task, part, number), of_attempt in events.items():
        started, ended = of_attempt["started"], of_attempt.get("ended")
        if ended is None:
            yield run_id, Attempt(task, part, number, started["at"])
            continue
        told = {name: ended[name] for name in _TOLD} | {name: ended[name] or () for name in ("reads", "writes")}
        told["figures"] = json.loads(ended["figures"]) if ended["figures"] else None
        yield run_id, Attempt(task, part, number, started["at"], ended["at"], **told)


def latest(of_run: Iterable[Attempt]) -> dict[tuple[str, str], Attempt]:
    """The last attempt by task and part."""
    found: dict[tuple[str, str], Attempt] = {}
    for one in of_run:
        before = found.get((one.task, one.part))
        if before is None or before.number < one.number:
            found[one.task, one.part] = one
    return found


def add_event(warehouse: Warehouse, row: Mapping[str, Any]) -> None:
    """Append one event of an attempt; safe beside concurrent tasks."""
    schema = load_contract(TASK_RUNS).arrow_schema()
    warehouse.append(TASK_RUNS, pa.Table.from_pylist([{**dict.fromkeys(schema.names), **row}], schema))
