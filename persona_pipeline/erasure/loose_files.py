"""Erase people from what lies beside the tables: job logs, reports, artefacts, copies of input, values by user of evaluations.

A file is known by its content, never by a list of names. Rows of Parquet and lines of records (JSON lines, CSV) that name somebody
go; logs and JSON lose the ids and words; a report is rendered anew, or else deleted. What can only be searched, and mentions
somebody, is named to whoever gave the command. Artefacts are never rewritten: their parts fit each other, and ids in them are
those of items, or words of a vocabulary.
"""

import gzip
import html
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.erasure.field_names import FieldNames, Kind
from persona_pipeline.erasure.mentions import Mentions
from persona_pipeline.warehouse.history import Change, is_whole, without_views

_PARQUET, _GZIP, _ZIP = b"PAR1", b"\x1f\x8b", b"PK\x03\x04"
ARTEFACTS = "_artefacts"
"""Folder of a warehouse with what was trained."""
_RECORDS = (".jsonl", ".ndjson", ".csv", ".tsv")
_SURE = 6  # bytes of an id that is looked for in files of no known kind: shorter ones stand in any
_CHUNK = 1 << 22
_ROWS = 4_096


@dataclass
class Loose:
    """Files that mentioned somebody: how many by what was done, and those that only a person can mend."""

    done: dict[str, int] = field(default_factory=dict)
    left: list[Path] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Count one file."""
        self.done[what] = self.done.get(what, 0) + 1


@dataclass(frozen=True)
class AnyRows:
    """What erasing does to rows of Parquet that no contract describes: those that hold an id of somebody, or words, go."""

    mentions: Mentions
    names: FieldNames
    columns: frozenset[str]

    def marks(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Implement `warehouse.history.Change.marks`."""
        told = [field.name for field in rows.schema if self.names.kind(field.name) == "people" or _has_text(field.type)]
        held = rows.select(told).to_pylist()
        goes = np.fromiter((self._holds(row, "unknown") for row in held), bool, rows.num_rows)
        return goes, np.zeros(rows.num_rows, bool)

    def applied(self, rows: pa.Table) -> pa.Table:
        """Implement `warehouse.history.Change.applied`."""
        return rows.filter(pa.array(~self.marks(rows)[0]))

    def _holds(self, value: Any, kind: Kind) -> bool:
        if isinstance(value, dict):
            return any(self._holds(one, self.names.kind(name, kind)) for name, one in value.items())
        if isinstance(value, list | tuple):
            return any(self._holds(one, kind) for one in value)
        return _is_id(value, kind, self.mentions) or (isinstance(value, str) and self.mentions.quoted_in(value))


def _is_id(value: Any, kind: Kind, mentions: Mentions) -> bool:
    """Whether a value is somebody's id; where nothing says whose, not if it may as well be a number or a syllable."""
    if kind == "others" or value is None:
        return False
    return str(value) in (mentions.ids if kind == "people" else mentions.sure)


def clean_files(
    paths: list[Path], mentions: Mentions, names: FieldNames, render: Callable[[Path], bool], dry_run: bool = False
) -> Loose:
    """Erase people from these files, or with `dry_run` count them.

    `render` writes a report anew, and returns whether it could.
    """
    found = Loose()
    for path in paths:
        if what := _clean(path, mentions, names, render, dry_run):
            found.note(what)
            if what == _LEFT:
                found.left.append(path)
    return found


_LEFT = "left as they are"


def _clean(
    path: Path, mentions: Mentions, names: FieldNames, render: Callable[[Path], bool], dry_run: bool
) -> str | None:
    with path.open("rb") as stream:
        head = stream.read(_CHUNK)
    artefact = ARTEFACTS in path.parts
    if head.startswith(_PARQUET):
        if not is_whole(path):
            return _LEFT
        found = rewrite_parquet(path, AnyRows(mentions, names, frozenset()), dry_run or artefact)
        return (_LEFT if artefact else "lost rows") if found else None
    if artefact:
        return None
    if head.startswith(_ZIP):
        return _LEFT if _in_arrays(path, mentions) else None
    packed = head.startswith(_GZIP)
    if not packed and b"\0" in head:  # no text, in whatever encoding but UTF-16
        return _LEFT if _in_bytes(path, mentions) else None
    if path.suffix in (".html", ".htm"):
        return _clean_page(path, mentions, render, dry_run)
    return _clean_text(path, mentions, names, packed, dry_run)


def rewrite_parquet(path: Path, change: Change, dry_run: bool = False) -> bool:
    """Replace a Parquet file by what becomes of its rows, a row group at a time. Returns whether there is anything to change."""
    with pq.ParquetFile(path) as file:
        schema = without_views(file.schema_arrow)
        batches = (pa.Table.from_batches([batch]).cast(schema) for batch in file.iter_batches(_ROWS))
        found = any(marked.any() for rows in batches for marked in change.marks(rows))
    if not found or dry_run:
        return found
    with (
        pq.ParquetFile(path) as file,
        atomic_file(path) as partial,
        pq.ParquetWriter(partial, schema) as writer,
    ):
        for group in range(file.num_row_groups):
            writer.write_table(change.applied(file.read_row_group(group).cast(schema)))
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
    return True


def _clean_page(path: Path, mentions: Mentions, render: Callable[[Path], bool], dry_run: bool) -> str | None:
    def mentioned() -> bool:
        text = html.unescape(path.read_text(encoding="utf-8"))
        return mentions.redacted(text) != text

    if not mentioned():
        return None
    if dry_run:
        return "rendered anew, or deleted"
    if render(path) and not mentioned():
        return "rendered anew"
    path.unlink()
    return "deleted"


def _clean_text(path: Path, mentions: Mentions, names: FieldNames, packed: bool, dry_run: bool) -> str | None:
    records = any(suffix in _RECORDS for suffix in path.suffixes)
    whole = not records and not packed and path.suffix == ".json" and _as_json(path)
    if whole:
        cleaned = _without(whole[0], mentions, names)
        if cleaned == whole[0]:
            return None
        if not dry_run:
            with atomic_file(path) as partial:
                partial.write_text(json.dumps(cleaned, indent=1) + "\n", encoding="utf-8")
        return "redacted"
    if not any(_line_of(line, mentions, records) != line for line in _lines(path, packed)):
        return None
    if not dry_run:
        opened = gzip.open if packed else open
        with atomic_file(path) as partial, opened(partial, "wt", encoding="utf-8", errors="surrogateescape") as stream:
            stream.writelines(_line_of(line, mentions, records) for line in _lines(path, packed))
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
    return "lost lines" if records else "redacted"


def _line_of(line: str, mentions: Mentions, records: bool) -> str:
    if records:
        return "" if mentions.in_record(line) else line
    redacted = mentions.redacted(line)
    return line if redacted == line else f"{redacted}".rstrip("\n") + "\n"


def _lines(path: Path, packed: bool) -> Iterator[str]:
    opened = gzip.open if packed else open
    with opened(path, "rt", encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
        yield from stream


def _as_json(path: Path) -> tuple[Any] | None:
    try:
        return (json.loads(path.read_text(encoding="utf-8")),)
    except ValueError:
        return None


def _without(value: Any, mentions: Mentions, names: FieldNames, kind: Kind = "unknown") -> Any:
    """JSON without keys and values that are somebody's id, and redacted elsewhere."""
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if not _is_id(key, kind, mentions)}
        return {key: _without(one, mentions, names, names.kind(key, kind)) for key, one in kept.items()}
    if isinstance(value, list):
        return [_without(one, mentions, names, kind) for one in value if not _is_id(one, kind, mentions)]
    if _is_id(value, kind, mentions):
        return None
    return mentions.redacted(value) if isinstance(value, str) and kind != "others" else value


def _in_bytes(path: Path, mentions: Mentions) -> bool:
    """Whether a file of no known kind holds an id, in UTF-8, UTF-16 or UTF-32."""
    ids = [one for one in mentions.ids if len(one.encode()) >= _SURE]
    wanted = [one.encode(kind) for one in ids for kind in ("utf-8", "utf-16-le", "utf-32-le")]
    overlap = max(map(len, wanted), default=1) - 1
    before = b""
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            if any(one in before + chunk for one in wanted):
                return True
            before = chunk[-overlap:] if overlap else b""
    return False


def _in_arrays(path: Path, mentions: Mentions) -> bool:
    """Whether an archive holds an id: in the texts of NumPy's arrays, or in members of any other kind."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                if not name.endswith(".npy"):
                    content = member.read()
                    if any(one.encode() in content for one in mentions.ids if len(one.encode()) >= _SURE):
                        return True
                    continue
                array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)  # type: ignore[no-untyped-call]
                if array.dtype.kind in "US" and not mentions.ids.isdisjoint(array.astype(str).ravel().tolist()):
                    return True
    return False


def _has_text(kind: pa.DataType) -> bool:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return True
    if pa.types.is_dictionary(kind):
        return _has_text(kind.value_type)
    return any(_has_text(kind.field(n).type) for n in range(kind.num_fields))
