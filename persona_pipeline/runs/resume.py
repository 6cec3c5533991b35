"""Resume runs without Airflow: find the run to continue, and the tasks whose results are still valid."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from persona_pipeline.runs.log import Row, attempts, latest, run_rows
from persona_pipeline.runs.opening import HELD, RUNNER, close_failed
from persona_pipeline.warehouse import Warehouse


@contextmanager
def holding(root: Path) -> Iterator[dict[str, str]]:
    """Hold the warehouse while tasks run in sequence; yields their environment variables. Closes their run at the end.

    Raises BusyError where another process holds it.
    """
    warehouse = Warehouse(root, {"job": "a night, task by task"})
    with warehouse.lock(RUNNER):
        outcome = "failed"
        try:
            yield {HELD: str(root)}
            outcome = "ended"
        finally:
            if rows := run_rows(warehouse):
                close_failed(warehouse, rows[-1]["run_id"], outcome)


def resumable_run(root: Path, made_from: str) -> str | None:
    """The id of the warehouse's newest run, if its input hash is the same."""
    rows = run_rows(Warehouse(root))
    return rows[-1]["run_id"] if rows and rows[-1]["made_from"] == made_from else None


def still_valid(root: Path, made_from: str, task: str) -> Row | None:
    """The summary of a task's last success, if it ran under the same input hash; None where it must run."""
    warehouse = Warehouse(root)
    of_run = attempts(warehouse)
    for row in reversed(run_rows(warehouse)):
        last = latest(of_run.get(row["run_id"], [])).get((task, ""))
        if last is not None:
            return last.summary() if last.succeeded and row["made_from"] == made_from else None
    return None
