"""Read the records of an input file one after the other, each with the line it begins on, numbers as they are written.

A record that cannot be read is a `Fault`: nothing is left out without a word. Memory is bounded by the longest record.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.containers import opened
from persona_pipeline.sources.shapes import DECODER, Shape, literal
from persona_pipeline.sources.text import decode
from persona_pipeline.sources.values import Number

_CHUNK = 1 << 20
_PARQUET_ROWS = 8_192
csv.field_size_limit(sys.maxsize)


@dataclass(frozen=True, slots=True)
class Fault:
    """A record that cannot be read: why, and an excerpt of it."""

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
            yield from _csv(_lines(stream, split), split.shape)
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
    scan, as_utf8 = DECODER.raw_decode, bytes.decode
    for number, raw in enumerate(lines, number):  # noqa: B020 - the number goes on
        try:
            text = as_utf8(raw).strip()
        except UnicodeDecodeError:
            text = decode(raw)[0].strip()
        if not text:
            continue
        part = at = 0
        while at < len(text):
            try:
                value, at = scan(text, at)
            except (ValueError, RecursionError):
                yield Record(number, part, Fault("not_json", text[at : at + 500]))
                break
            yield Record(number, part, value if isinstance(value, dict) else Fault("not_json", text[:500]))
            part += 1
            while at < len(text) and text[at] in " \t,":
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
    buffer, line, begun, ended, wanted, part, last = "", 1, False, False, _CHUNK, 0, 0
    left = b""
    while True:
        data = left + stream.read(wanted)
        more = len(data) > len(left)
        # Cut at a line's end, so that no character is cut in two.
        cut = len(data) if not more else data.rfind(b"\n") + 1
        cut = cut or (len(data) if not more else 0)
        left, text = data[cut:], decode(data[:cut])[0]
        buffer += text if begun else text.lstrip("\ufeff")
        at = 0
        while True:
            start = at
            while at < len(buffer) and (buffer[at].isspace() or (buffer[at] in "," and begun)):
                at += 1
            line += buffer.count("\n", start, at)
            if at == len(buffer):
                break
            if not begun and buffer[at] == "[":
                begun, at = True, at + 1
                continue
            if buffer[at] == "]" and begun:
                ended, at = True, at + 1
                continue
            begun = True
            try:
                value, end = DECODER.raw_decode(buffer, at)
            except (ValueError, RecursionError) as error:
                if more:
                    break  # it may go on in what was not read yet
                raise SourceError(
                    f"{path}, line {line}: the JSON breaks off or is damaged ({error}); nothing was read from it. Fetch the file again, or "
                    "write one object a line"
                ) from error
            if ended:
                raise SourceError(
                    f"{path}, line {line}: more follows the end of the JSON array; nothing was read from it"
                )
            part = part + 1 if line == last else 0
            last = line
            yield Record(line, part, value if isinstance(value, dict) else Fault("not_json", buffer[at:end][:500]))
            line += buffer.count("\n", at, end)
            at = end
        buffer = buffer[at:]
        wanted = max(_CHUNK, len(buffer))  # doubling: a long object is scanned a constant number of times per byte
        if not more:
            return


def _csv(lines: Iterator[bytes], shape: Shape) -> Iterator[Record]:
    reader = csv.reader((decode(line)[0] for line in lines), delimiter=shape.delimiter)
    names, number = list(shape.columns), 1
    first = True
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(number, 0, Fault("not_csv", str(error)))
            number = reader.line_num + 1
            continue
        start, number = number, reader.line_num + 1
        if first or not any(row):
            first = False
            continue
        if len(row) != len(names):
            yield Record(start, 0, Fault("not_csv", shape.delimiter.join(row)[:500]))
        else:
            yield Record(start, 0, dict(zip(names, row, strict=True)))


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
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{split.path}: a damaged Parquet file ({error}); fetch it again") from error


def _plain(column: pa.Array) -> list[Any]:
    """Values as JSON would have them: moments as microseconds since 1970, numbers as characters."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        whole = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False).cast(pa.int64())
        return [None if value is None else str(value) for value in whole.to_pylist()]
    if pa.types.is_floating(kind):
        return [None if value is None else Number(repr(value)) for value in column.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values
