"""Hold everything a task of a run may depend on (`RunContext`): configuration, pinned table versions, parent release.

Invariant 1 of the design: a task depends on nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from persona_pipeline.config import PipelineConfig
from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.model_registry.overrides import Override
from persona_pipeline.publish.releases import Release, release_of, release_row
from persona_pipeline.runs.log import Attempt, Row, attempts, latest, run_row, run_rows
from persona_pipeline.warehouse import Pins, Warehouse
from persona_pipeline.warehouse.erasures import require_none_pending


@dataclass(frozen=True, slots=True)
class RunContext:
    """The context of one run for one task; frozen.

    Attributes:
        warehouse: opens state tables at the versions pinned for the run.
        parent: the release the run starts from.
        overrides: decisions about encoders given before the run was opened.
        row: of `runs`.
        done: the last attempt at each task so far, by task and part.
    """

    as_of: date
    config: PipelineConfig
    warehouse: Warehouse
    parent: Release | None
    overrides: Sequence[Override] = ()
    row: Row = field(default_factory=dict)
    done: dict[tuple[str, str], Attempt] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return str(self.row["run_id"])

    def parent_version(self, table: str) -> int | None:
        """Version of a table in the release the run starts from; None on a first night."""
        return self.parent.versions[table] if self.parent else None

    def encoder_id(self) -> str:
        """The encoder that the task `encoders` settled on. Raises PipelineError before that task has succeeded."""
        settled = self.done.get(("encoders", ""))
        if settled is None or not settled.succeeded or not settled.figures:
            raise PipelineError(f"no encoder has been chosen in run {self.run_id}; run the encoders task first")
        return str(settled.figures["encoder_id"])


def reads_before(task: str) -> tuple[str, ...]:
    """Tables that a task reads as they were when the run was opened, by its contract; a shard's are those of the plan."""
    task = "extraction_plan" if task == "extraction_shard" else task
    return load_contract(task).reads_before if task in table_names() else ()


def context_of(root: Path, run_id: str, task: str) -> RunContext:
    """Build a task's context.

    A state table is read at the version that the run's own task left, else at the version it had when the run
    was opened; one under `reads_before` of the task's contract always at the latter; the tables the task writes itself, at
    their newest.

    Raises PipelineError where there is no such run, or where it is over because a later run was opened.
    """
    require_none_pending(root)
    plain = Warehouse(root)
    row = run_row(plain, run_id)
    newest = run_rows(plain)[-1]
    if newest["run_id"] != run_id:
        raise PipelineError(
            f"run {run_id} is over: {newest['run_id']} was opened in {root} at {newest['opened_at']:%Y-%m-%d %H:%M:%S} UTC, and "
            f"its tables are that run's now. Start the night of {row['as_of']} again from its first task, `runs`"
        )
    done = latest(attempts(plain, run_id).get(run_id, []))
    opened = {entry["table"]: entry["version"] for entry in row["table_versions"]}
    versions = dict(opened)
    for one in done.values():
        if one.succeeded:
            versions |= {write["table"]: write["version"] for write in one.writes}
    before = reads_before(task)
    versions = {table: version for table, version in versions.items() if table not in before}
    versions |= {table: opened[table] for table in before if table in opened}
    own = frozenset(table for table in table_names() if load_contract(table).made_by == task)
    contract = load_contract(task) if task in table_names() else None
    declared = frozenset({*contract.reads, *contract.reads_before}) if contract else None
    commit = {"job": task, "as_of": row["as_of"].isoformat(), "run_id": run_id}
    parent_id = row["parent_release_id"]
    return RunContext(
        row["as_of"],
        PipelineConfig.model_validate_json(row["config"]),
        Warehouse(root, commit, Pins(versions, task, declared, own)),
        release_of(release_row(plain, parent_id)) if parent_id else None,
        [Override.model_validate(override) for override in row["overrides"]],
        row,
        done,
    )
