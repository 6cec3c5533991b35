"""Erase people from a warehouse, or say what would go: `erase`, `complete` and `foresee`.

An erasure is noted before it reads anything, and what stands for the people is written beside the tables before the first of them
changes. So one that was killed anywhere is completed from there, and while it is pending no run is opened and no task goes on.
"""

import json
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from filelock import FileLock

from persona_pipeline.config import PipelineConfig, ReviewsConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.atomic import atomic_file, atomic_folder
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.erasure.collect import collect, known_users
from persona_pipeline.erasure.field_names import field_names
from persona_pipeline.erasure.loose_files import Loose, clean_files, rewrite_parquet
from persona_pipeline.erasure.loose_records import AnyRows, Known
from persona_pipeline.erasure.places import Place, loose_files, staged_responses, tables, unfinished
from persona_pipeline.erasure.rows import TableChange
from persona_pipeline.erasure.traces import Traces
from persona_pipeline.publish.publication import PUBLICATION
from persona_pipeline.publish.releases import release_row, release_rows
from persona_pipeline.report.page import write_report
from persona_pipeline.runs.log import attempts, latest, run_rows
from persona_pipeline.runs.opening import RUNNER, require_idle
from persona_pipeline.sources.input_state import pseudonyms
from persona_pipeline.warehouse import Warehouse, erasures
from persona_pipeline.warehouse._locks import lock
from persona_pipeline.warehouse.erasures import (
    PENDING,
    digester,
    erased_digests,
    note_pending,
    pending,
    record,
    require_none_pending,
)
from persona_pipeline.warehouse.history import Change, History, is_whole

_TRACES = "traces.json"
_UNFINISHED = "left unfinished by what was killed: deleted"
PAUSE = 5.0
"""Seconds between the moment when the log names the new files and the old ones' end, for readers that had just listed them."""


@dataclass
class Erased:
    """What an erasure did or would do.

    Attributes:
        people: how many were erased.
        unknown: ids that nothing in the warehouse names; nothing was done about these.
        rows: by table and version, the newest and those that releases name: rows that go, and rows that change.
        personas: that nobody else supports.
        loose: files beside the tables.
    """

    people: int
    unknown: list[str] = field(default_factory=list)
    rows: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    personas: int = 0
    loose: Loose = field(default_factory=Loose)


def foresee(root: Path, users: Collection[str]) -> Erased:
    """Say what erasing these people would do; nothing is changed. Raises as `erase`."""
    require_none_pending(root)
    places, known, unknown = _known(root, users)
    _check(places)
    traces = collect(places, known.values())
    found = Erased(len(known), unknown, _rows(root, places, traces), len(traces.retired))
    found.loose = clean_files(_loose(root), _searched(root, traces), lambda _: False, dry_run=True)
    found.loose.note(_UNFINISHED, len(unfinished(root)))
    return found


def erase(root: Path, users: Collection[str], by: str) -> Erased:
    """Erase these people from everything under a warehouse, and from the caches it shares.

    Raises PipelineError where none of them is known, or a table cannot be rewritten; BusyError while a run is open, a task is at
    work or a table is being written, or where an earlier erasure has not ended. Nothing was changed then.
    """
    with _held(root), ExitStack() as locks:
        with atomic_folder(root / PENDING) as folder:
            note_pending(folder, len({*users}), by)
        try:
            # A task that began before the note was there is seen; one that begins now sees the note.
            require_idle(Warehouse(root))
            places, known, unknown = _known(root, users)
            _lock(places, locks)
            _check(places)
            traces = collect(places, known.values())
            rows = _rows(root, places, traces)
            with atomic_file(root / PENDING / _TRACES) as partial:
                traces.write(partial)
        except BaseException:
            shutil.rmtree(root / PENDING)
            raise
        loose = _carry_out(root, places, traces, locks)
        return Erased(len(known), unknown, rows, len(traces.retired), loose)


def complete(root: Path) -> Erased:
    """Complete an erasure that was broken off. Raises PipelineError where there is none, or it had changed nothing yet."""
    with _held(root, begins=False), ExitStack() as locks:
        if pending(root) is None:
            raise PipelineError(f"there is no erasure to complete in {root}")
        if not (root / PENDING / _TRACES).is_file():
            shutil.rmtree(root / PENDING)
            raise PipelineError(
                f"the erasure in {root} was broken off before it had changed anything, and nights go on. Begin it again"
            )
        traces, places = Traces.read(root / PENDING / _TRACES), tables(root)
        _lock(places, locks)
        _check(places)
        loose = _carry_out(root, places, traces, locks)
        return Erased(traces.people, personas=len(traces.retired), loose=loose)


def let_back(root: Path, users: Collection[str], by: str) -> int:
    """Let lines of these people count again; returns how many of them were kept out. Raises BusyError as `erase`."""
    with _held(root):
        warehouse = Warehouse(root, {"job": "erase --let-back", "by": by})
        of, before, forms = digester(warehouse), erased_digests(warehouse), _forms(root, users)
        erasures.let_back(warehouse, {form for told in forms.values() for form in told})
        return sum(any(of(form) in before for form in told) for told in forms.values())


@contextmanager
def _held(root: Path, *, begins: bool = True) -> Iterator[None]:
    """Hold the warehouse as a migration does: no run is open, and none begins.

    Raises BusyError where that cannot be, or an erasure has not ended, unless it is that one which is gone on with.
    """
    warehouse = Warehouse(root, {"job": "erase"})
    with ExitStack() as locks:
        for name in (RUNNER, "opening", PUBLICATION):
            locks.enter_context(warehouse.lock(name))
        require_idle(warehouse)
        if begins:
            require_none_pending(root)
        yield


def _lock(places: list[Place], locks: ExitStack) -> None:
    for place in places:
        locks.enter_context(lock(place.folder.parent, place.folder.name, {"job": "erase"}))


def _check(places: list[Place]) -> None:
    for place in places:
        History(place.folder).check()


def _forms(root: Path, users: Collection[str]) -> dict[str, set[str]]:
    """Each id with the pseudonym that tables have for it, where a run used pseudonyms. Raises ConfigError without their key."""
    configs = {row["config"] for row in run_rows(Warehouse(root))}
    used = any(json.loads(config).get("reviews", {}).get("pseudonymous_users") for config in configs)
    name = pseudonyms(ReviewsConfig(pseudonymous_users=used))
    return {user: {user, name(user)} if name else {user} for user in users}


def _known(root: Path, users: Collection[str]) -> tuple[list[Place], dict[str, set[str]], list[str]]:
    """Tables of the warehouse, the people of whom some table knows, each with the ids they go by, and ids of no one."""
    places, forms = tables(root), _forms(root, users)
    if not places:
        raise PipelineError(f"there is no warehouse at {root}: no folder in it is a table")
    warehouse = Warehouse(root)
    found = known_users(places, {form for told in forms.values() for form in told})
    before = erased_digests(warehouse)
    of = digester(warehouse) if before else str
    known = {user: told for user, told in forms.items() if told & found}
    unknown = sorted(user for user in forms.keys() - known.keys() if before.isdisjoint(map(of, forms[user])))
    if not known:
        again = len(forms) - len(unknown)
        told = f"; {again} of them were erased before" if again else ""
        raise PipelineError(
            f"none of the {len(forms)} users is known in {root}{told}: nothing was done. Ids are those of the input, as "
            "`persona-pipeline top` takes them"
        )
    return places, known, unknown


def _changes(root: Path, places: list[Place], traces: Traces) -> Iterator[tuple[Place, Change]]:
    """What happens to each table; those whose contract says that they are about nobody are left out."""
    known = _searched(root, traces)
    for place in places:
        if place.contract is None:
            yield place, AnyRows(known, _everything(place))
        elif (change := TableChange(place.contract, traces)).columns:
            yield place, change


def _searched(root: Path, traces: Traces) -> Known:
    return Known(traces.mentions, field_names(root))


def _everything(place: Place) -> frozenset[str]:
    from deltalake import DeltaTable

    return frozenset(field.name for field in DeltaTable(str(place.folder)).schema().fields)


def _rows(root: Path, places: list[Place], traces: Traces) -> dict[str, dict[int, tuple[int, int]]]:
    named: dict[str, set[int]] = {}
    for row in release_rows(Warehouse(root)):
        for entry in row["table_versions"]:
            named.setdefault(entry["table"], set()).add(entry["version"])
    found = {}
    for place, change in _changes(root, places, traces):
        history = History(place.folder)
        if files := history.scan(change):
            versions = history.by_version(files, named.get(place.told, set()))
            found[place.told] = {version: counts for version, counts in versions.items() if any(counts)}
    return {table: versions for table, versions in found.items() if versions}


def _carry_out(root: Path, places: list[Place], traces: Traces, locks: ExitStack) -> Loose:
    """Everything that an erasure changes, from the first file to the record of it; whoever was killed begins here again.

    `locks` of the tables are let go once these are done.
    """
    note = pending(root)
    assert note is not None
    left = unfinished(root)
    for path in left:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    histories = [(History(place.folder, f"-e{note.token}"), change) for place, change in _changes(root, places, traces)]
    for history, change in histories:
        history.write(change)
    for history, _ in histories:
        history.point(additions=False)
    for history, _ in histories:
        history.point(additions=True)
    time.sleep(PAUSE)
    for history, _ in histories:
        history.drop()
    locks.close()
    change = TableChange(load_contract("llm_calls"), traces)
    for path in filter(is_whole, staged_responses(root)):
        with FileLock(path.parent / ".lock"):
            rewrite_parquet(path, change)
    loose = clean_files(_loose(root), _searched(root, traces), lambda path: _render(root, path))
    loose.note(_UNFINISHED, len(left))
    record(Warehouse(root, {"job": "erase"}), traces.users, note.by, datetime.now(UTC))
    shutil.rmtree(root / PENDING)
    return loose


def _loose(root: Path) -> list[Path]:
    """Files of the warehouse, and logs of Airflow where it runs from this folder or says where."""
    home = Path(os.environ.get("AIRFLOW_HOME", Path.cwd() / ".airflow")) / "logs"
    return loose_files(root) + sorted(path for path in home.rglob("*") if path.is_file() and not path.is_symlink())


def _render(root: Path, path: Path) -> bool:
    """Write a night's report anew from the tables as they are now; False where the run or its tables are no longer there."""
    warehouse = Warehouse(root, {"job": "erase"})
    try:
        as_of = date.fromisoformat(path.stem)
        row = [r for r in run_rows(warehouse) if r["as_of"] == as_of and r["outcome"] in ("published", "refused")][-1]
        done = latest(attempts(warehouse, row["run_id"]).get(row["run_id"], []))
        summaries = {task: one.summary() for (task, part), one in done.items() if one.succeeded and not part}
        config = PipelineConfig.model_validate_json(row["config"])
        written = write_report(warehouse, as_of, release_row(warehouse, row["detail"]), config, summaries)
    except (ValueError, IndexError, OSError, PipelineError):
        return False
    return written == path
