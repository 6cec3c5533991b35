"""Erase people from what lies beside the tables: job logs, reports, artefacts, copies of input, values by user of evaluations.

A file is known by its content, never by a list of names, compressed or not. Rows of Parquet and records (JSON lines, CSV) that
are somebody's go; logs and JSON lose the ids and words; a report is rendered anew, or else deleted. What can only be searched,
and mentions somebody, is named to whoever gave the command, and so is what cannot be read. Artefacts are never rewritten: their
parts fit each other, and ids in them are those of items, or words of a vocabulary.
"""

import bz2
import csv
import gzip
import html
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.core.errors import SourceError
from persona_pipeline.erasure.loose_bytes import Needles, found_in_archive
from persona_pipeline.erasure.loose_records import AnyRows, Known, TheirLines
from persona_pipeline.sources.containers import PARQUET, Compression, compression, opened
from persona_pipeline.sources.records import Split, records
from persona_pipeline.sources.shapes import Shape, recognise
from persona_pipeline.warehouse.history import Change, is_whole, without_views

ARTEFACTS = "_artefacts"
"""Folder of a warehouse with what was trained."""
_RECORDS = (".jsonl", ".ndjson", ".csv", ".tsv")
_ZIP = b"PK\x03\x04"
_SEALED = (b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!\x1a\x07", b"\x04\x22\x4d\x18")
"""Beginnings of xz, 7z, rar and lz4, into which nothing here looks."""
_UNREADABLE = (
    OSError, EOFError, ValueError, RuntimeError, csv.Error, zlib.error, zipfile.BadZipFile, pa.ArrowException, SourceError
)  # fmt: skip
_HEAD = 1 << 22
_ROWS = 4_096
_LEFT = "left as they are"


@dataclass
class Loose:
    """Files that mentioned somebody: how many by what was done, and those that only a person can mend or search."""

    done: dict[str, int] = field(default_factory=dict)
    left: list[Path] = field(default_factory=list)

    def note(self, what: str, number: int = 1) -> None:
        """Count files."""
        if number:
            self.done[what] = self.done.get(what, 0) + number


def clean_files(paths: list[Path], known: Known, render: Callable[[Path], bool], dry_run: bool = False) -> Loose:
    """Erase people from these files, or with `dry_run` count them. One that nobody can read stops nothing.

    `render` writes a report anew, and returns whether it could.
    """
    found, needles = Loose(), Needles(known.mentions.ids)
    for path in paths:
        try:
            what = _clean(path, known, needles, render, dry_run)
        except _UNREADABLE:
            what = _LEFT if path.exists() else None  # else a log that was rotated away meanwhile
        if what:
            found.note(what)
            if what == _LEFT:
                found.left.append(path)
    return found


def _clean(path: Path, known: Known, needles: Needles, render: Callable[[Path], bool], dry_run: bool) -> str | None:
    packed, artefact = compression(path), ARTEFACTS in path.parts
    with opened(path) as stream:
        head = stream.read(_HEAD)
    if head.startswith(PARQUET) and packed == "none":
        if not is_whole(path):
            return _LEFT
        found = rewrite_parquet(path, AnyRows(known, frozenset()), dry_run or artefact)
        return (_LEFT if artefact else "lost rows") if found else None
    if artefact:
        return None
    if head.startswith(_SEALED) or (packed != "none" and head.startswith((PARQUET, _ZIP))):
        return _LEFT
    if head.startswith(_ZIP):
        return _LEFT if found_in_archive(path, known.mentions.ids, needles) else None
    if b"\0" in head:  # no text, in whatever encoding but UTF-16
        with opened(path) as stream:
            return _LEFT if needles.found_in(stream) else None
    if path.suffix in (".html", ".htm"):
        return _clean_page(path, known, render, dry_run)
    if path.suffix == ".json" and (cleaned := _clean_json(path, known, dry_run)) is not None:
        return cleaned or None
    shape = _records_of(path)
    if shape and not shape.by_line:
        theirs = (known.holds(fields) for _, _, fields in records(Split(path, shape)) if isinstance(fields, dict))
        return _LEFT if any(theirs) else None
    if shape:
        becomes, what = partial(_without, TheirLines(path, shape, known)), "lost lines"
    elif any(suffix in _RECORDS for suffix in path.suffixes):
        becomes, what = partial(_without, lambda _, line: known.mentions.in_record(line)), "lost lines"
    else:
        becomes, what = partial(_redacted, known), "redacted"
    return what if _clean_lines(path, becomes, packed, dry_run) else None


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
        atomic_file(path) as partly,
        pq.ParquetWriter(partly, schema) as writer,
    ):
        for group in range(file.num_row_groups):
            writer.write_table(change.applied(file.read_row_group(group).cast(schema)))
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
    return True


def _clean_page(path: Path, known: Known, render: Callable[[Path], bool], dry_run: bool) -> str | None:
    def mentioned() -> bool:
        return known.mentions.mentioned_in(html.unescape(path.read_text(encoding="utf-8", errors="replace")))

    if not mentioned():
        return None
    if dry_run:
        return "rendered anew, or deleted"
    if render(path) and not mentioned():
        return "rendered anew"
    path.unlink()
    return "deleted"


def _clean_json(path: Path, known: Known, dry_run: bool) -> str | None:
    """Clean a file that is one JSON value, "" where there is nothing to do; None for any other."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    cleaned = known.without(told)
    if cleaned == told:
        return ""
    if not dry_run:
        with atomic_file(path) as partly:
            partly.write_text(json.dumps(cleaned, indent=1) + "\n", encoding="utf-8")
    return "redacted"


def _records_of(path: Path) -> Shape | None:
    """The shape of a file whose name says that it holds records; None for any other, and where they are of no known shape."""
    if not any(suffix in (*_RECORDS, ".json") for suffix in path.suffixes):
        return None
    try:
        return recognise(path)
    except SourceError:
        return None


def _clean_lines(path: Path, becomes: Callable[[int, str], str], packed: Compression, dry_run: bool) -> bool:
    """Write what becomes of a file's lines, by number from 1. Return whether there is anything to change."""
    if not any(becomes(number, line) != line for number, line in enumerate(_lines(path), 1)):
        return False
    if not dry_run:
        with atomic_file(path) as partly, _packing(partly, packed) as stream:
            for number, line in enumerate(_lines(path), 1):
                stream.write(becomes(number, line).encode("utf-8", "surrogateescape"))
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
    return True


def _redacted(known: Known, _: int, line: str) -> str:
    told = known.mentions.redacted(line)
    return line if told == line else f"{told}".rstrip("\n") + "\n"


def _without(theirs: Callable[[int, str], bool], number: int, line: str) -> str:
    return "" if theirs(number, line) else line


def _lines(path: Path) -> Iterator[str]:
    with opened(path) as stream:
        for line in stream:
            yield line.decode("utf-8", "surrogateescape")


def _packing(path: Path, kind: Compression) -> IO[bytes]:
    """Open a file for writing bytes that are compressed."""
    if kind == "zstd":
        return cast(IO[bytes], pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd"))
    packed = {"gzip": gzip.GzipFile, "bzip2": bz2.BZ2File}
    return cast(IO[bytes], packed[kind](path, "wb")) if kind in packed else path.open("wb")
