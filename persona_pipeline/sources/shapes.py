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
from persona_pipeline.sources.containers import PARQUET, head
from persona_pipeline.sources.text import decode
from persona_pipeline.sources.values import Number

Format = Literal["json", "literals", "csv", "parquet"]
DECODER = json.JSONDecoder(parse_float=Number, parse_int=str, parse_constant=str)
"""Reads a number as the characters it has."""
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
    lines = [line for line in text.splitlines() if line.strip()][:SAMPLED]
    if not lines:
        return None
    first = lines[0].strip()
    if first[0] in "[{" and (shape := _json(text, lines)):
        return shape
    if first[0] == "{" and _is_literal(first):
        return Shape("literals")
    if found := _csv(lines):
        return found
    if any(_objects(line) for line in lines):
        return Shape("json")
    if any(_is_literal(line.strip()) for line in lines):
        return Shape("literals")
    raise SourceError(
        f"{path}: none of the first {len(lines)} lines is a JSON object, and the file is neither CSV nor Parquet; it begins with "
        f"{first[:40]!r}"
    )


def _json(text: str, lines: list[str]) -> Shape | None:
    first = lines[0].strip()
    if first[0] == "{":
        if _objects(first):
            return Shape("json")
        # An object over several lines; what does not end within the beginning counts as long as it began as one.
        begun = text.lstrip()
        try:
            DECODER.raw_decode(begun)
        except ValueError as error:
            long = isinstance(error, json.JSONDecodeError) and error.pos >= len(begun) - 1 and len(lines) > 1
            return Shape("json", by_line=False) if long else None
        except RecursionError:
            return None
        return Shape("json", by_line=False)
    inside = text.lstrip()[1:].lstrip()[:1]
    whole = len(lines) == 1 or not first.endswith("]")
    return Shape("json", by_line=False) if inside in ("{", "") and whole else None


def _objects(line: str) -> bool:
    """Whether a line begins with a JSON object."""
    try:
        value, _ = DECODER.raw_decode(line.strip())
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
    """CSV, if the first line names columns that the second has too."""
    best: Shape | None = None
    for delimiter in ",\t;|":
        try:
            header, *rows = csv.reader(lines[:5], delimiter=delimiter)
        except (csv.Error, ValueError):
            continue
        columns = tuple(name.strip() for name in header)
        named = all(name and len(name) < 100 for name in columns)
        fits = not rows or len(rows[0]) == len(columns) or "\n" in "".join(rows[0])
        if named and fits and len(columns) > max(1, len(best.columns) if best else 0):
            best = Shape("csv", columns=columns, delimiter=delimiter)
    return best


def _parquet_columns(path: Path) -> tuple[str, ...]:
    try:
        return tuple(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path}: a damaged Parquet file ({error}); fetch it again") from error
