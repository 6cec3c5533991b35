"""Open and close runs: resolve every input of a run once and write it to `runs`, before its first task reads anything."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from persona_pipeline.config import PipelineConfig
from persona_pipeline.contracts import table_names
from persona_pipeline.core.errors import BusyError, ConfigError, PipelineError
from persona_pipeline.model_registry.overrides import read_overrides
from persona_pipeline.publish.releases import parent_of
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.runs.log import Row, attempts, latest, run_row, run_rows, write_run
from persona_pipeline.sources.digests import digest_of
from persona_pipeline.sources.files import check_files
from persona_pipeline.sources.given import given_records, given_rows, wait_for
from persona_pipeline.sources.table_files import check_table
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.erasures import erased_digests, require_none_pending
from persona_pipeline.warehouse.fingerprints import run_code

IDLE = timedelta(minutes=30)
"""How long a run that nobody holds may be between two tasks, retries and queues included, before another may begin."""
RUNNER = "runner"
"""The lock of a program that runs the tasks one after the other, held as long as it lives."""
_SKEW = 3600
"""Seconds by which the clock of a file system may differ from this machine's."""
HELD = "PERSONA_RUNNER"
"""Environment variable by which such a program tells its tasks that it holds `RUNNER`: the warehouse's folder."""


@dataclass(frozen=True, slots=True)
class Input:
    """Input files of a run; no source means no input, for runs of later tasks alone."""

    source: str | None = None
    reviews: Path | None = None
    items: Path | None = None


def open_run(
    root: Path, as_of: date, config: PipelineConfig, given: Input, environment: Mapping[str, str] = os.environ
) -> str:
    """Write a run's row and return its id. One run of a warehouse at a time.

    Raises BusyError where another run is active, naming it; SourceError, ConfigError or ReleaseError where the input is
    invalid, or a later night is served; PipelineError for a warehouse to be migrated first.
    """
    warehouse = Warehouse(root, {"job": "runs", "as_of": as_of.isoformat()})
    files = _input_files(warehouse, given, config)
    with warehouse.lock("opening"):
        require_none_pending(root)
        _check_layout(warehouse, config)
        _end_last(warehouse, environment)
        row = _resolved(warehouse, as_of, config, given, files)
        number = sum(other["as_of"] == as_of for other in run_rows(warehouse)) + 1
        row["run_id"] = f"{as_of}.{number}"
        write_run(warehouse, row)
    return str(row["run_id"])


def made_from(root: Path, as_of: date, config: PipelineConfig, given: Input) -> str:
    """Compute the input hash that `open_run` would record: two runs with equal hashes make equal tables."""
    warehouse = Warehouse(root)
    row = _resolved(warehouse, as_of, config, given, _input_files(warehouse, given, config))
    return str(row["made_from"])


def close_run(warehouse: Warehouse, run_id: str, outcome: str, detail: str | None) -> None:
    """Record how a run ended; a run that was closed and continued is closed again."""
    with warehouse.lock("opening"):
        row = run_row(warehouse, run_id)
        write_run(warehouse, {**row, "closed_at": datetime.now(UTC), "outcome": outcome, "detail": detail})


def close_failed(warehouse: Warehouse, run_id: str, outcome: str = "failed") -> Row:
    """Close a run that is still open, with the errors of its last attempts; returns its row."""
    row = run_row(warehouse, run_id)
    if row["closed_at"]:
        return row
    last = latest(attempts(warehouse, run_id).get(run_id, []))
    failed = [
        f"{one.task}: {one.detail or 'died'}" for one in last.values() if not one.succeeded and one.task != "report"
    ]
    close_run(warehouse, run_id, outcome, "; ".join(failed) or None)
    return run_row(warehouse, run_id)


def _resolved(
    warehouse: Warehouse, as_of: date, config: PipelineConfig, given: Input, files: list[Row]
) -> dict[str, Any]:
    parent, code = parent_of(warehouse, as_of), run_code()
    overrides = read_overrides(warehouse)
    ingredients = (
        [given.source, [(file["kind"], file["name"], file["digest"]) for file in files]],
        [code, config.digest(), as_of.isoformat(), parent and parent.release_id],
        [override.model_dump(mode="json") for override in overrides],
        *([erased] if (erased := sorted(erased_digests(warehouse))) else []),
    )
    found = warehouse.versions()
    return {
        "as_of": as_of,
        "opened_at": datetime.now(UTC),
        "closed_at": None,
        "outcome": None,
        "detail": None,
        "made_from": hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()[:16],
        "source": given.source,
        "input_files": files,
        "config": config.model_dump_json(),
        "config_digest": config.digest(),
        "code": code,
        "parent_release_id": parent.release_id if parent else None,
        "overrides": [override.model_dump() for override in overrides],
        "table_versions": [{"table": t, "version": found[t]} for t in table_names("state") if t in found],
    }


def _input_files(warehouse: Warehouse, given: Input, config: PipelineConfig) -> list[Row]:
    """List and hash the input files once: the run reads exactly these, whatever is added beside them."""
    parsed = frozenset(warehouse.read("input_files", ["digest"])["digest"].to_pylist())
    records, rows = given_records(given.source, given.reviews, given.items, config), given_rows(config)
    if given.source and config.eligibility.full_catalogue and not given.items:
        raise ConfigError(
            "eligibility.full_catalogue needs a file of items, which was not given: every item would be delisted"
        )
    wait_for(records, rows, config)
    found: list[tuple[str, Path, str]] = [
        (one.kind, file.path, file.name)
        for one in records
        for file in check_files(one.path, one.kind, one.adapter, parsed)
    ]
    found += [(t.name, file.path, file.name) for t in rows for file in check_table(t.path, t.kind).files]
    single = {
        "withheld": config.reviews.withheld,
        "withdrawn": config.reviews.withdrawn,
        "published": config.extraction.published,
    }
    found += [(name, Path(file), Path(file).name) for name, file in single.items() if file]
    return [
        {
            "kind": kind,
            "path": str(path.resolve()),
            "name": name,
            "digest": digest_of(path),
            "bytes": path.stat().st_size,
        }
        for kind, path, name in found
    ]


def check_input(row: Row, kinds: Sequence[str]) -> dict[str, list[Row]]:
    """Return a run's input files by kind (path, name, bytes, digest).

    Raises PipelineError where one is gone, or has changed since the run was opened. A file that the file system says nothing
    was done to since then is not read for it.
    """
    found: dict[str, list[Row]] = {kind: [] for kind in kinds}
    opened = row["opened_at"].timestamp()
    for file in row["input_files"]:
        if file["kind"] in found:
            path = Path(file["path"])
            stands = path.is_file() and path.stat().st_size == file["bytes"]
            # Unlike the date of a file's content, that of its last change cannot be set.
            if not stands or (path.stat().st_ctime > opened - _SKEW and digest_of(path) != file["digest"]):
                raise PipelineError(
                    f"{path}: not the file of {file['bytes']:,} bytes that it was when run {row['run_id']} was opened. Open "
                    "another run: clear the night from its first task, `runs`, or run `make nightly` again"
                )
            found[file["kind"]].append(file)
    return found


def _check_layout(warehouse: Warehouse, config: PipelineConfig) -> None:
    """Raise PipelineError where an earlier version made the warehouse, what is staged in it, or its response cache."""
    warehouse.check_layout()
    others = [
        staged_tables(warehouse),
        *([Warehouse(config.extraction.llm.ledger)] if config.extraction.llm.ledger else []),
    ]
    for other in others:
        if other.versions():
            other.check_layout()


def _end_last(warehouse: Warehouse, environment: Mapping[str, str]) -> None:
    """Close the previous run if it is over; raise BusyError if it is active."""
    rows = run_rows(warehouse)
    last = rows[-1] if rows else None
    if environment.get(HELD) != str(warehouse.root) and (holder := warehouse.holder(RUNNER)):
        raise _busy(warehouse, last, f"its tasks are run by another process ({holder})")
    if last is None or last["closed_at"]:
        return
    of_run = attempts(warehouse, last["run_id"]).get(last["run_id"], [])
    for one in of_run:
        if one.outcome is None and (holder := warehouse.holder(lock_name(one.task, one.part))):
            raise _busy(warehouse, last, f"its task {one.task} is at work ({holder})")
    moved = max([last["opened_at"], *(one.ended_at or one.started_at for one in of_run)])
    scheduled = any((one.figures or {}).get("runner") == "scheduler" for one in of_run)
    if scheduled and datetime.now(UTC) - moved < IDLE:
        raise _busy(
            warehouse, last, f"its last task was at work at {moved:%H:%M:%S} UTC, and the next may begin at any moment"
        )
    died = [one.task for one in of_run if one.outcome is None]
    detail = (
        f"{', '.join(died)} died" if died else f"nothing was run after {of_run[-1].task if of_run else 'it was opened'}"
    )
    write_run(warehouse, {**last, "closed_at": moved, "outcome": "broken_off", "detail": detail})


def require_idle(warehouse: Warehouse) -> None:
    """Raise BusyError while a run is open, whose tasks read tables as they were when it began, or a task is at work."""
    last = run_rows(warehouse)[-1:]
    if last and last[0]["closed_at"] is None:
        run_id = last[0]["run_id"]
        raise BusyError(
            f"run {run_id} is open in {warehouse.root}, and its tasks read tables as they were when it began. Wait for it to end; "
            f'where nothing will go on with it: persona-pipeline runs close {run_id} --reason "..."'
        )
    # One of a closed run, begun again.
    for name, told in warehouse.holders(_TASK).items():
        raise BusyError(f"{name.removeprefix(_TASK)} is at work in {warehouse.root} ({told}). Wait for it to end")


_TASK = "task-"


def lock_name(task: str, part: str) -> str:
    """Name of the lock that an attempt holds while it runs."""
    return f"{_TASK}{task}{f'-{part}' if part else ''}"


def _busy(warehouse: Warehouse, last: Row | None, why: str) -> BusyError:
    name = f"run {last['run_id']}, opened {last['opened_at']:%Y-%m-%d %H:%M:%S} UTC," if last else "another run"
    ending = f"`persona-pipeline runs close {last['run_id']}` ends it by hand" if last else "wait for it to end"
    return BusyError(f"{name} goes on in {warehouse.root}: {why}. This one was not opened; wait for it, or {ending}")
