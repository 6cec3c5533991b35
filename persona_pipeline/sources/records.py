"""Read the records of an input file one after the other, each with the line it begins on, numbers as they are written.

A record that cannot be read is a `Fault`: nothing is left out without a word. Memory is bounded by the longest record.
"""

import csv
import json
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.containers import opened
from persona_pipeline.sources.shapes import DECODER, LINE_DECODER, Shape, literal, may_go_on
from persona_pipeline.sources.text import decode
from persona_pipeline.sources.values import Number

_CHUNK = 1 << 20
_PARQUET_ROWS = 8_192
_ROW_BYTES = 16 << 20
"""A row of CSV is longer only because a quote is not closed."""
_UNCLOSED = 1_000
"""Quotes that are not closed, after which a file is given up: what follows each is read again."""
csv.field_size_limit(sys.maxsize)
EMPTY = "empty"
"""Reason of a row whose fields are all empty, as spreadsheets leave them, and of a record that should hold records and has none."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A record that cannot be read, or holds nothing (`EMPTY`): why, and an excerpt of it."""

    reason: str
    excerpt: str


class Record(NamedTuple):
    """A record: the line it begins on, from 1; which record of that line it is, from 0; its fields, or its fault."""

    line: int
    part: int
    fields: dict[str, Any] | Fault


@dataclass(frozen=True, slots=True)
class Split:
    """A part of a file that is read by itself.

    Attributes:
        start, end: bytes of a plain file whose records lie on lines: those of lines that begin in [start, end); or row groups
            of a Parquet file. `end` 0: to the end.
        line: number of the first line (row) of the split.
    """

    path: Path
    shape: Shape
    start: int = 0
    end: int = 0
    line: int = 1


def records(split: Split) -> Iterator[Record]:
    """Read the records of a split. Raises SourceError where the file breaks off."""
    if split.shape.format == "parquet":
        yield from _parquet(split)
        return
    with opened(split.path, split.start) as stream:
        if split.shape.format == "csv":
            yield from _csv(_lines(stream, split), split)
        elif not split.shape.by_line:
            yield from _objects(stream, split.path)
        elif split.shape.format == "literals":
            yield from _literals(_lines(stream, split), split.line)
        else:
            yield from _json_lines(_lines(stream, split), split.line)


def _lines(stream: IO[bytes], split: Split) -> Iterator[bytes]:
    """Lines of a split, blank ones included, without a byte order mark."""
    at = split.start
    for line in stream:
        if split.end and at >= split.end:
            return
        if not at:
            at += len(line)
            line = line.removeprefix(b"\xef\xbb\xbf")
        else:
            at += len(line)
        yield line


def _json_lines(lines: Iterator[bytes], number: int) -> Iterator[Record]:
    scan, as_utf8 = cast(Any, LINE_DECODER).scan_once, bytes.decode
    for number, raw in enumerate(lines, number):  # noqa: B020 - the number goes on
        try:
            text = as_utf8(raw).strip()
        except UnicodeDecodeError:
            text = decode(raw)[0].strip()
        if not text:
            continue
        if text[0] == "\ufeff":  # files with a mark, one behind the other
            text = text.lstrip("\ufeff \t")
        part = at = 0
        while at < len(text):
            try:
                value, end = scan(text, at)
            except (ValueError, StopIteration, RecursionError):
                yield Record(number, part, Fault("not_json", text[at : at + 500]))
                break
            # A line may be an array of records.
            for one in value if isinstance(value, list) and value else (value,):
                yield Record(number, part, one if isinstance(one, dict) else Fault("not_json", text[at : at + 500]))
                part += 1
            at = end
            while at < len(text) and text[at] in " \t\r,\ufeff":
                at += 1


def _literals(lines: Iterator[bytes], number: int) -> Iterator[Record]:
    for number, raw in enumerate(lines, number):  # noqa: B020 - the number goes on
        text = decode(raw)[0].strip()
        if not text:
            continue
        try:
            value = literal(text)
        except ValueError:
            value = None
        yield Record(number, 0, value if isinstance(value, dict) else Fault("not_python_literal", text[:500]))


def _objects(stream: IO[bytes], path: Path) -> Iterator[Record]:
    """Objects one after the other or in an array, over as many lines as they like."""
    buffer, line, begun, inside, wanted, part, last = "", 1, False, False, _CHUNK, 0, 0
    opened_at, ended = 0, False
    left = b""
    while True:
        data = left + stream.read(wanted)
        more = len(data) > len(left)
        # Cut behind a byte of ASCII, so that no character is cut in two; an array may be one line.
        cut = max(map(data.rfind, (b"\n", b"}", b","))) + 1 if more else len(data)
        left, text = data[cut:], decode(data[:cut])[0]
        buffer += text
        at = 0
        while True:
            start = at
            while at < len(buffer) and (
                buffer[at].isspace() or buffer[at] == "\ufeff" or (buffer[at] in "," and begun)
            ):
                at += 1
            line += buffer.count("\n", start, at)
            if at == len(buffer):
                break
            if buffer[at] == "[" and not inside and (ended or not begun):
                begun, inside, opened_at, at = True, True, line, at + 1
                continue
            if buffer[at] == "]" and inside:
                inside, ended, at = False, True, at + 1
                continue
            begun = True
            try:
                value, end = DECODER.raw_decode(buffer, at)
            except (ValueError, RecursionError) as error:
                if more and isinstance(error, json.JSONDecodeError) and may_go_on(error, buffer):
                    break
                told = getattr(error, "msg", error)
                raise SourceError(
                    f"{path}, line {line}: the record that begins here breaks off or is damaged ({told}); nothing was read "
                    "from the file. Fetch it again, or write one object a line, of which one alone is then set aside"
                ) from error
            if ended and not inside:
                raise SourceError(
                    f"{path}, line {line}: more follows the end of the JSON array; nothing was read from the file"
                )
            part = part + 1 if line == last else 0
            last = line
            yield Record(line, part, value if isinstance(value, dict) else Fault("not_json", buffer[at:end][:500]))
            line += buffer.count("\n", at, end)
            at = end
        buffer = buffer[at:]
        # Doubling: a long object is scanned, and copied, a constant number of times per byte.
        wanted = max(_CHUNK, len(buffer) + len(left))
        if not more:
            break
    if inside:
        raise SourceError(
            f"{path}: the JSON array that begins on line {opened_at} has no end: the file is truncated; nothing was read from it. "
            "Fetch it again"
        )


class _Lines:
    """Lines for a reader of CSV, which can be had again where a row of several of them turns out to be none."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self.lines = lines
        self.again: deque[str] = deque()
        self.taken: list[str] = []
        self.length = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self.length > _ROW_BYTES:
            raise csv.Error("a quote is not closed")
        line = self.again.popleft() if self.again else decode(next(self.lines))[0]
        self.taken.append(line)
        self.length += len(line)
        return line

    def done(self, lines: int | None = None) -> int:
        """Take the row's lines as read, all or the first of them, and return how many that are."""
        read = len(self.taken) if lines is None else lines
        self.again.extendleft(reversed(self.taken[read:]))
        self.taken, self.length = [], 0
        return read


def _csv(lines: Iterator[bytes], split: Split) -> Iterator[Record]:
    shape = split.shape
    source, names = _Lines(lines), list(shape.columns)
    reader = csv.reader(source, delimiter=shape.delimiter)
    number, first, unclosed = 1, True, 0
    while True:
        fault = ""
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = str(error)
        several = len(source.taken) > 1
        start = number
        if not fault and (first or not any(row)):
            number += source.done()
            if row and not first:
                yield Record(start, 0, Fault(EMPTY, ""))
            first = first and not any(row)
        elif not fault and len(row) == len(names) and not (several and _runs_on(source.taken, shape.delimiter)):
            number += source.done()
            yield Record(start, 0, dict(zip(names, row, strict=True)))
        else:
            # A quote that is not closed takes the next rows into its own: they are read again without it.
            yield Record(start, 0, Fault("not_csv", fault or source.taken[0].rstrip("\r\n")[:500]))
            number += source.done(1)
            if several:
                reader = csv.reader(source, delimiter=shape.delimiter)
                unclosed += 1
                if unclosed > _UNCLOSED:
                    raise SourceError(
                        f"{split.path}, line {start}: more than {_UNCLOSED:,} quotes are opened and not closed; nothing was "
                        'read from the file. Expected CSV whose quotes are doubled inside a quoted field ("")'
                    )


def _runs_on(lines: list[str], delimiter: str) -> bool:
    """Whether a row of several lines has a quote that is not closed, or one that is closed by the opening one of another row."""
    try:
        next(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return True
    return False


def _parquet(split: Split) -> Iterator[Record]:
    try:
        with pq.ParquetFile(split.path) as file:
            groups = range(split.start, split.end or file.num_row_groups)
            number = split.line
            for batch in file.iter_batches(_PARQUET_ROWS, row_groups=list(groups)):
                columns = [_plain(column) for column in batch.columns]
                for values in zip(*columns, strict=True):
                    yield Record(number, 0, dict(zip(batch.schema.names, values, strict=True)))
                    number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{split.path}: a damaged Parquet file ({error}); fetch it again") from error


def _plain(column: pa.Array) -> list[Any]:
    """Values as JSON would have them: moments in ISO 8601, numbers as characters, bytes as text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    values: list[Any]
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        whole = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False).cast(pa.int64()).fill_null(0)
        values = np.datetime_as_string(whole.to_numpy().astype("datetime64[us]")).tolist()
    elif pa.types.is_float16(kind) or pa.types.is_float32(kind):
        values = [Number(text) for text in column.to_numpy(zero_copy_only=False).astype(str).tolist()]
    elif pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = [Number(value) for value in column.to_pylist()]
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        values = [decode(value)[0] if value else "" for value in column.to_pylist()]
    else:
        try:
            values = column.to_pylist()
        except UnicodeDecodeError:
            return _plain(column.cast(pa.large_binary()))
    return [value if there else None for value, there in zip(values, column.is_valid().to_pylist(), strict=True)]
