"""Rewrite rows of a Delta table in all its versions: files that hold them are written anew, and the log names the new ones.

Version numbers stay, so what releases and runs name stays true, and a version opened by time travel, a reader or the change data
feed lacks the rows too. Delta itself has no such operation: a DELETE leaves every earlier version as it was, and the statistics
in the log hold values of rows that are gone.

Four steps after a `check`, each of which may be interrupted anywhere and begun again with the same `Change`:

1. `write`: a new file beside each that changes, under a name that follows from the old one's.
2. `point(additions=False)`: commits that remove an old file remove its successor too, which nothing has added yet.
3. `point(additions=True)`: commits add the successors in the old files' place. Each commit is replaced whole; a reader between
   two of them sees one file as it was and another as it will be, never both of one.
4. `drop`: the old files go, once no commit names them: the change data feed opens what a commit removes too.

The table must have no writer meanwhile.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.warehouse.data_files import statistics

_LOG = "_delta_log"
_FEED = "_change_data"
_ROWS = 4_096  # looked through at a time


class Change(Protocol):
    """What happens to a table's rows."""

    columns: frozenset[str]
    """Columns that tell which rows change."""

    def marks(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Which of n rows go, and which of the others change; (n,) bool each."""
        ...

    def applied(self, rows: pa.Table) -> pa.Table:
        """The rows that stay, as they will be, in order and with the same schema."""
        ...


@dataclass(slots=True)
class Successor:
    """What takes a file's place: a file of so many bytes, with statistics for the log, or nothing at all (`path` None)."""

    path: str | None
    size: int
    stats: str
    rows_gone: int
    rows_changed: int


@dataclass
class History:
    """One Delta table as it lies in a folder: its commits, and its data files by path relative to the folder.

    `mark` ends the names of the files that this rewriting makes: whoever begins it again leaves those as they are. `successors` are
    those of the files that change, once `write` has found them.
    """

    folder: Path
    mark: str = ""
    successors: dict[str, Successor] = field(default_factory=dict)
    _had_checkpoints: bool = False

    @property
    def commits(self) -> list[Path]:
        """The log from version 0. Raises PipelineError where its beginning was deleted."""
        found = sorted(path for path in (self.folder / _LOG).glob("*.json") if path.stem.isdigit())
        if [int(path.stem) for path in found] != list(range(len(found))):
            raise PipelineError(
                f"the log of {self.folder} does not begin with version 0: Delta cleaned it before this program kept logs whole, "
                "and what it no longer tells cannot be rewritten. Write the newest version into a new folder, put that in its "
                "place, and run this again"
            )
        return found

    def files(self) -> list[str]:
        """Every whole Parquet file in the folder, whether a version names it or not, the change data feed's too."""
        return [name for name in self._every_file() if is_whole(self.folder / name)]

    def _unfinished(self) -> set[str]:
        return set(self._every_file()) - set(self.files())

    def _every_file(self) -> list[str]:
        found = (path.relative_to(self.folder) for path in self.folder.rglob("*.parquet"))
        return sorted(str(path) for path in found if _LOG not in path.parts)

    def scan(self, change: Change) -> dict[str, tuple[int, int]]:
        """Rows that would go and rows that would change, by file; files without any are left out."""
        found = {}
        for name in self.files():
            if self.mark and Path(name).stem.endswith(self.mark):
                continue
            gone, changed = _counted(self.folder / name, change)
            if gone or changed:
                found[name] = (gone, changed)
        return found

    def check(self) -> None:
        """Raise PipelineError where nobody can rewrite the table: its log is cut short, or a file that it names is damaged."""
        named = {unquote(action["path"]) for action in self._additions()}
        for name in sorted(self._unfinished() & named):
            raise PipelineError(f"{self.folder / name} is damaged: restore it from a copy, then run this again")

    def write(self, change: Change) -> None:
        """Write the successors of all files that change; what a killed writer left unfinished has none."""
        self.successors |= {name: Successor(None, 0, "", 0, 0) for name in self._unfinished()}
        for name, (gone, changed) in self.scan(change).items():
            self.successors[name] = self._written(name, change, gone, changed)

    def point(self, *, additions: bool) -> None:
        """Have the log name the successors: in removals, and with `additions` everywhere."""
        here = set(self.files())
        self._rewrite(lambda line: self._actions(line, here, additions))

    def drop(self) -> None:
        """Delete the old files, and the checksums that Hadoop keeps beside its own."""
        self._rewrite(self._without_removals)
        if self._had_checkpoints:
            DeltaTable(str(self.folder)).create_checkpoint()
        for name in self.successors:
            path = self.folder / name
            for gone in (path, path.with_name(f".{path.name}.crc")):
                gone.unlink(missing_ok=True)

    def _rewrite(self, becomes: Callable[[dict[str, Any]], Iterable[dict[str, Any]]]) -> None:
        """Replace each commit of which some line becomes another, others or none."""
        rewritten = {}
        for path in self.commits:
            before = path.read_text(encoding="utf-8")
            actions = (line for old in before.splitlines() for line in becomes(json.loads(old)))
            lines = list({_identity(line): line for line in actions}.values())
            after = "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)
            if after != "".join(_canonical(before)):
                rewritten[path] = after
        if not rewritten:
            return
        self._had_checkpoints |= self._drop_derived_logs()
        # The newest first: a removal is there before what it removes.
        for path, text in sorted(rewritten.items(), reverse=True):
            with atomic_file(path) as partial:
                partial.write_text(text, encoding="utf-8")
                _as_old_as(path, partial)

    def by_version(self, found: dict[str, tuple[int, int]], versions: set[int]) -> dict[int, tuple[int, int]]:
        """Sum what `scan` found over the files of each of these versions, and of the newest."""
        alive: dict[str, tuple[int, int]] = {}
        sums = {}
        commits = self.commits
        for path in commits:
            for line in path.read_text(encoding="utf-8").splitlines():
                for kind, action in json.loads(line).items():
                    if kind == "remove":
                        alive.pop(unquote(action["path"]), None)
                    elif kind == "add" and unquote(action["path"]) in found:
                        alive[unquote(action["path"])] = found[unquote(action["path"])]
            if int(path.stem) in versions or path is commits[-1]:
                sums[int(path.stem)] = (sum(n for n, _ in alive.values()), sum(n for _, n in alive.values()))
        return sums

    def _additions(self) -> Iterator[dict[str, Any]]:
        for path in self.commits:
            actions = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
            yield from (action["add"] for action in actions if "add" in action)

    def _written(self, name: str, change: Change, gone: int, changed: int) -> Successor:
        old = self.folder / name
        new = old.with_name(f"{old.stem}{self.mark}{old.suffix}")
        rows = 0
        with pq.ParquetFile(old, coerce_int96_timestamp_unit="us") as file, atomic_file(new) as partial:
            schema = in_utc(file.schema_arrow)
            with pq.ParquetWriter(partial, schema, compression="snappy") as writer:
                for group in range(file.num_row_groups):
                    kept = change.applied(file.read_row_group(group).cast(schema))
                    rows += kept.num_rows
                    if kept.num_rows:
                        writer.write_table(kept, row_group_size=kept.num_rows)
            _as_old_as(old, partial)
        # A commit whose changes are all theirs changed nothing: without a file that says so they would be derived from what it
        # removes and adds.
        if not rows and _FEED not in Path(name).parts:
            new.unlink()
            return Successor(None, 0, "", gone, changed)
        return Successor(str(new.relative_to(self.folder)), new.stat().st_size, "", gone, changed)

    def _actions(self, line: dict[str, Any], here: set[str], additions: bool) -> Iterator[dict[str, Any]]:
        (kind,) = line
        action = line[kind]
        name = unquote(action["path"]) if kind in ("add", "remove", "cdc") else None
        if name is None:
            yield line
            return
        successor = self.successors.get(name)
        if kind == "remove":
            action.pop("stats", None)
            # The old name stays too, until `drop`: an earlier commit may still add it.
            yield line
            if successor and successor.path:
                yield {kind: {**action, "path": _beside(action["path"], successor), **_sized(action, successor)}}
        elif successor and additions:
            if successor.path:
                told = {"stats": self._stats(successor, action.get("stats"))} if "stats" in action else {}
                path = _beside(action["path"], successor)
                yield {kind: {**action, "path": path, **_sized(action, successor), **told}}
        else:
            if name not in here and action.get("stats"):  # it was deleted, but its bounds may be somebody's
                action["stats"] = json.dumps({"numRecords": json.loads(action["stats"]).get("numRecords")})
            yield line

    def _without_removals(self, line: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if "remove" not in line or unquote(line["remove"]["path"]) not in self.successors:
            yield line

    def _stats(self, successor: Successor, before: str | None) -> str:
        if not successor.stats:
            assert successor.path
            told = json.loads(before or "{}")
            counted = [*(told.get("minValues", {}) | told.get("nullCount", {}))]
            rows = pq.read_table(self.folder / successor.path, columns=counted)
            # By its own rows: read as part of a table it would have the columns of its folder's name too.
            successor.stats = json.dumps(statistics(rows.select(counted), [*told.get("minValues", {})]))
        return successor.stats

    def _drop_derived_logs(self) -> bool:
        """Delete what only repeats the commits: checkpoints, checksums, compacted logs. Return whether there were checkpoints."""
        log = self.folder / _LOG
        (log / "_last_checkpoint").unlink(missing_ok=True)
        checkpoints = [*log.glob("*.checkpoint*"), *log.glob("_sidecars/*")]
        for path in (*checkpoints, *log.glob("*.crc"), *log.glob(".*.crc"), *log.glob("*.compacted.json")):
            path.unlink(missing_ok=True)
        return bool(checkpoints)


def is_whole(path: Path) -> bool:
    """Whether a Parquet file has its end: a writer that was killed leaves one without."""
    if path.stat().st_size < 12:
        return False
    with path.open("rb") as stream:
        stream.seek(-4, 2)
        return stream.read() == b"PAR1"


def _as_old_as(old: Path, new: Path) -> None:
    """Give a file another's time: a commit is as old as its file, for time travel by time, and retention goes by it too."""
    times = old.stat()
    os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))


def _counted(path: Path, change: Change) -> tuple[int, int]:
    gone = changed = 0
    with pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as file:
        columns = [name for name in file.schema_arrow.names if name in change.columns]
        for batch in file.iter_batches(_ROWS, columns=columns):
            goes, changes = change.marks(pa.Table.from_batches([batch]).cast(in_utc(batch.schema)))
            gone, changed = gone + int(goes.sum()), changed + int(changes.sum())
    return gone, changed


def _canonical(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield json.dumps(json.loads(line), separators=(",", ":"), ensure_ascii=False) + "\n"


def _identity(line: dict[str, Any]) -> str:
    """Whoever begins again finds the removals there already, and a commit may name no file twice."""
    ((kind, action),) = line.items()
    return f"{kind} {action['path'] if kind in ('add', 'remove', 'cdc') else json.dumps(action)}"


def _beside(path: str, successor: Successor) -> str:
    """The successor's path with the folder written as it was: delta-rs compares paths as they are written, `=` is not `%3D`."""
    assert successor.path
    folder, between, _ = path.rpartition("/")
    return f"{folder}{between}{quote(Path(successor.path).name)}"


def _sized(action: dict[str, Any], successor: Successor) -> dict[str, int]:
    return {"size": successor.size} if "size" in action else {}


def in_utc(found: pa.Schema) -> pa.Schema:
    """A file's schema with its times as Delta has them, microseconds in UTC, and with texts on which Arrow can compute."""
    return pa.schema([field.with_type(_in_utc(_plain(field.type))) for field in found], metadata=found.metadata)


def without_views(found: pa.Schema) -> pa.Schema:
    """A schema with plain texts in place of views, as delta-rs' merges and updates leave them: Arrow filters none of these."""
    return pa.schema([field.with_type(_plain(field.type)) for field in found], metadata=found.metadata)


def _in_utc(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp("us", tz="UTC") if pa.types.is_timestamp(kind) else _within(kind, _in_utc)


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else _within(kind, _plain)


def _within(kind: pa.DataType, becomes: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """A list or struct with each type within it as `becomes` makes it; any other type as it is."""
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(becomes(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([part.with_type(becomes(part.type)) for part in kind])
    return kind
