"""Check that a run may be published: every task succeeded, and read the table versions that its upstream tasks wrote."""

from persona_pipeline.core.errors import ReleaseError
from persona_pipeline.publish.releases import parent_of
from persona_pipeline.publish.staging import PUBLISHED, staged_tables
from persona_pipeline.runs.context import RunContext, reads_before
from persona_pipeline.runs.log import Attempt
from persona_pipeline.runs.order import ORDER
from persona_pipeline.warehouse import Warehouse

TASKS = ORDER[: ORDER.index("releases")]
"""Tasks without which nothing is published."""


def require_complete(context: RunContext) -> None:
    """Raise ReleaseError naming the tasks that are missing, failed, or have read outdated versions.

    Also where the run's parent has changed: a release was published or rolled back since it was opened.
    """
    _check_parent(context)
    done = context.done
    wanted = [(task, "") for task in TASKS] + [("extraction_shard", str(n)) for n in range(_shards(done))]
    missing = [_named(task, part) for task, part in wanted if (task, part) not in done]
    unfinished = [
        f"{_named(task, part)} ({done[task, part].outcome or 'died'})"
        for task, part in wanted
        if (task, part) in done and not done[task, part].succeeded
    ]
    if missing or unfinished:
        told = [f"never run: {', '.join(missing)}"] if missing else []
        told += [f"not done: {', '.join(unfinished)}"] if unfinished else []
        raise ReleaseError(
            f"run {context.run_id} cannot be published: {'; '.join(told)}. Run these tasks, and those after them, then this one"
        )
    stale = [*_stale(context), *_overwritten(context)]
    if stale:
        raise ReleaseError(f"run {context.run_id} cannot be published: {'; '.join(stale)}")


def _check_parent(context: RunContext) -> None:
    now = parent_of(Warehouse(context.warehouse.root), context.as_of)
    names = [release.release_id if release else "nothing" for release in (context.parent, now)]
    if names[0] != names[1]:
        raise ReleaseError(
            f"run {context.run_id} started from {names[0]}, but the night of {context.as_of} would start from {names[1]} now: "
            "something was published or rolled back in between. Run the night again from its first task, `runs`"
        )


def _shards(done: dict[tuple[str, str], Attempt]) -> int:
    plan = done.get(("extraction_plan", ""))
    return len((plan.figures or {}).get("shards", ())) if plan else 0


def _named(task: str, part: str) -> str:
    return f"{task} {part}" if part else task


def _stale(context: RunContext) -> list[str]:
    """List tasks that read another version of a table than its own task left.

    A table under `reads_before` of a task's contract is read as it was when the run was opened.
    """
    found = {entry["table"]: entry["version"] for entry in context.row["table_versions"]}
    left = dict(found)
    for one in context.done.values():
        left |= {write["table"]: write["version"] for write in one.writes}
    return [
        f"{_named(one.task, one.part)} read {read['table']} at version {read['version']}, but its task left version "
        f"{wanted[read['table']]} since: run {_named(one.task, one.part)} again, and what comes after it"
        for one in context.done.values()
        for wanted in [left | {table: found[table] for table in reads_before(one.task) if table in found}]
        for read in one.reads
        if wanted.get(read["table"]) != read["version"]
    ]


def _overwritten(context: RunContext) -> list[str]:
    """List staged tables whose version is not the one their task left."""
    told = []
    for table in PUBLISHED:
        left = {
            write["version"] for write in context.done[table, ""].writes if write["table"] == f"_candidates/{table}"
        }
        found = staged_tables(context.warehouse).version(table)
        if left != {found}:
            told.append(
                f"the candidate of {table} is at version {found}, but its task left {', '.join(map(str, left)) or 'none'}: "
                f"another process wrote it. Run {table} again"
            )
    return told
