"""Recognise what an input file holds, by its beginning: JSON by lines or as a whole, Python literals, CSV, Parquet."""

import ast
import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.containers import HEAD, PARQUET, head
from persona_pipeline.sources.text import decode
from persona_pipeline.sources.values import Number

Format = Literal["json", "literals", "csv", "parquet"]
DECODER = json.JSONDecoder(parse_float=Number, parse_int=str, parse_constant=str)
"""Reads a number as the characters it has."""
LINE_DECODER = json.JSONDecoder(parse_float=Number, parse_int=str, parse_constant=str, strict=False)
"""The same for a line of its own: a control character in a text, as some exports leave it, is taken as it is."""
_NEAR_END = 16
"""Characters before the end within which a JSON value that is cut off is found to be faulty."""
SAMPLED = 100
"""Records at the beginning of a file by which its keys are checked."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a file holds.

    Attributes:
        by_line: JSON and literals: whether a record lies on a line of its own (several objects behind one another on a line
            are several records of it); else objects are read one after the other, wherever their lines end.
        columns: of CSV and Parquet.
        delimiter: of CSV.
    """

    format: Format
    by_line: bool = True
    columns: tuple[str, ...] = ()
    delimiter: str = ","


def recognise(path: Path) -> Shape | None:
    """Tell what a file holds; None where it is empty. Raises SourceError naming the file for what cannot be read."""
    start = head(path)
    if start.startswith(PARQUET):
        return Shape("parquet", columns=_parquet_columns(path))
    text = decode(start)[0]
    # Only what ends a line of the file: texts hold other separators, U+2028 for one.
    lines = [line for line in text.split("\n") if line.strip()][: SAMPLED + 1]
    if not lines:
        return None
    first = lines[0].strip()
    # Objects within an object over several lines are indented, or behind a key.
    if first[0] == "{" and any(line[0] == "{" and _objects(line) for line in lines):
        return Shape("json")
    if first[0] in "[{" and (shape := _json(text, lines, len(start) >= HEAD)):
        return shape
    if any(_objects(line) for line in lines):
        return Shape("json")
    if first[0] == "{" and any(_is_literal(line.strip()) for line in lines):
        return Shape("literals")
    if first[0] not in "[{" and (found := _csv(lines)):
        return found
    if any(_is_literal(line.strip()) for line in lines):
        return Shape("literals")
    if "\n" not in text and "\r" in text.strip():
        raise SourceError(f"{path}: lines end with a carriage return alone: convert it (tr '\\r' '\\n')")
    if first[0] in "[{":
        raise SourceError(
            f"{path}: this looks like JSON, but none of the first {len(lines)} lines is an object, nor does an object over several "
            f"lines begin it: {_why(text)}. Expected one object a line, or an array of objects"
        )
    raise SourceError(
        f"{path}: none of the first {len(lines)} lines is a JSON object, and the file is neither CSV nor Parquet"
    )


def _json(text: str, lines: list[str], more: bool) -> Shape | None:
    """JSON of what begins with a bracket; `more`: the text is not the whole file."""
    first, begun = lines[0].strip(), text.lstrip()
    if first[0] == "[" and begun[1:].lstrip()[:1] not in ("{", "", "]"):
        return None
    if more and len(lines) == 1:
        # A line that is longer than the beginning: an array of all, or a long object on its own line.
        return Shape("json", by_line=first[0] == "{")
    try:
        _, end = DECODER.raw_decode(begun)
    except ValueError as error:
        # What does not end within the beginning counts as long as it began as one.
        ended = not (isinstance(error, json.JSONDecodeError) and may_go_on(error, begun.rstrip()))
        if first[0] == "{":
            return None if ended or len(lines) == 1 else Shape("json", by_line=False)
        return None if ended and not _begins(begun[1:].lstrip()) else Shape("json", by_line=False)
    except RecursionError:
        return None
    # A line that is an array is one of many, where others follow it.
    lines_of_arrays = first[0] == "[" and "\n" not in begun[:end] and len(lines) > 1
    return Shape("json", by_line=lines_of_arrays)


def may_go_on(error: json.JSONDecodeError, text: str) -> bool:
    """Whether the fault of a JSON value may be that the text ends before the value does."""
    return error.pos >= len(text) - _NEAR_END or error.msg.startswith("Unterminated string")


def _begins(text: str) -> bool:
    """Whether a text begins with a whole JSON object."""
    try:
        value, _ = DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict)


def _why(text: str) -> str:
    try:
        DECODER.raw_decode(text.lstrip())
    except (ValueError, RecursionError) as error:
        return str(error)
    return "it holds no object"


def _objects(line: str) -> bool:
    """Whether a line begins with a JSON object."""
    try:
        value, _ = LINE_DECODER.raw_decode(line.strip())
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict)


def literal(line: str) -> Any:
    """Return the value of a line that is a Python literal. Raises ValueError for any other."""
    try:
        return ast.literal_eval(line)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _is_literal(line: str) -> bool:
    try:
        return isinstance(literal(line), dict)
    except ValueError:
        return False


def _csv(lines: list[str]) -> Shape | None:
    """CSV, if the first line names columns that one of the next has too; a column may be without a name (pandas' index)."""
    best: Shape | None = None
    for delimiter in ",\t;|":
        try:
            header, *rows = csv.reader([f"{line}\n" for line in lines[:20]], delimiter=delimiter)
        except (csv.Error, ValueError):
            continue
        columns = tuple(name.strip() for name in header)
        named = any(columns) and all(len(name) < 100 for name in columns)
        fits = not rows or any(len(row) == len(columns) for row in rows)
        if named and fits and len(columns) > max(1, len(best.columns) if best else 0):
            best = Shape("csv", columns=columns, delimiter=delimiter)
    return best


def _parquet_columns(path: Path) -> tuple[str, ...]:
    try:
        return tuple(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path}: a damaged Parquet file ({error}); fetch it again") from error
