"""Validate files of rows before Spark reads them: existing, of one format, with the columns that their kind needs."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.containers import check_whole, opened

Format = Literal["parquet", "jsonl", "csv"]
ColumnKind = Literal["text", "number", "date"]
_FORMATS: dict[str, Format] = {".parquet": "parquet", ".json": "jsonl", ".jsonl": "jsonl", ".csv": "csv"}
_EXPECTED = "expected *.parquet, *.jsonl, *.json or *.csv, the last three plain or .gz"
_SAMPLED_LINES = 100


@dataclass(frozen=True, slots=True)
class TableKind:
    """What files of one kind hold.

    Attributes:
        setting: key of the configuration that names them.
        noun: what the rows are called.
        columns: the columns that are read; others are ignored.
        needs: of each of these at least one column, and how to ask for it.
    """

    setting: str
    noun: str
    columns: Mapping[str, ColumnKind]
    needs: Sequence[tuple[tuple[str, ...], str]]


@dataclass(frozen=True, slots=True)
class TableFiles:
    """Validated files of one kind and format.

    Attributes:
        columns: of a CSV file, all in their order; else those of the kind that are present.
    """

    kind: TableKind
    paths: tuple[Path, ...]
    format: Format
    columns: tuple[str, ...]


def check_table(path: Path, kind: TableKind) -> TableFiles:
    """Validate the file, or the files of the folder.

    Reads gzip files whole, of others the beginning. Raises SourceError naming file, column and what was expected.
    """
    return check_paths(_found(path, kind), kind, f"the folder {path}")


def check_paths(paths: Sequence[Path], kind: TableKind, where: str = "the input") -> TableFiles:
    """Validate files, of which there is at least one; `where` says what holds them."""
    formats = {file: _format(file, kind) for file in paths}
    if len(set(formats.values())) > 1:
        raise SourceError(f"{kind.setting}: {where} holds {', '.join(sorted(set(formats.values())))}; give one format")
    form = formats[paths[0]]
    columns = [_COLUMNS_OF[form](file, kind) for file in paths]
    for file, found in zip(paths, columns, strict=True):
        if form != "jsonl" and found != columns[0]:
            raise SourceError(
                f"{file}: its columns are {', '.join(found)}, those of {paths[0].name} {', '.join(columns[0])}; "
                "files of one folder have the same columns"
            )
        _require(file, found, kind)
        check_whole(file)
    return TableFiles(kind, tuple(paths), form, columns[0])


def _found(path: Path, kind: TableKind) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(f"{kind.setting}: no file or folder {path}; {_EXPECTED}")
    found = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] not in "._")
    if not found:
        raise SourceError(f"{kind.setting}: nothing in the folder {path}; {_EXPECTED}")
    return found


def _format(file: Path, kind: TableKind) -> Format:
    name = file.name.removesuffix(".gz")
    suffix = Path(name).suffix
    if suffix not in _FORMATS or (suffix == ".parquet" and name != file.name):
        raise SourceError(f"{kind.setting}: {file}: unknown kind of file; {_EXPECTED}")
    return _FORMATS[suffix]


def _parquet_columns(file: Path, kind: TableKind) -> tuple[str, ...]:
    try:
        schema = pq.read_schema(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{file}: not a Parquet file: {error}") from error
    for name in set(kind.columns) & set(schema.names):
        stored, wanted = schema.field(name).type, kind.columns[name]
        number = pa.types.is_integer(stored) or pa.types.is_floating(stored)
        if wanted == "text":
            fits, expected = _is_text(stored) or pa.types.is_integer(stored), "a string or a whole number"
        elif wanted == "number":
            fits, expected = number, "a number"
        else:
            fits, expected = pa.types.is_date(stored) or pa.types.is_timestamp(stored) or _is_text(stored), "a date"
        if not fits and not pa.types.is_null(stored):
            raise SourceError(f"{file}: column {name} is {stored}; expected {expected}")
    return tuple(name for name in kind.columns if name in schema.names)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _jsonl_columns(file: Path, kind: TableKind) -> tuple[str, ...]:
    with opened(file) as stream:
        lines = list(islice(stream, _SAMPLED_LINES))
    seen: set[str] = set()
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # set aside later, with its reason
        if isinstance(record, dict):
            seen |= record.keys()
    if not seen:
        raise SourceError(f"{file}: none of the first {len(lines)} lines is a JSON object; expected one a line")
    return tuple(name for name in kind.columns if name in seen)


def _csv_columns(file: Path, _kind: TableKind) -> tuple[str, ...]:
    with opened(file) as stream:
        first = stream.readline()
    if first:
        header = [name.strip() for name in next(csv.reader([first.decode("utf-8-sig", "replace")]), [])]
        if len(set(header)) < len(header):
            raise SourceError(f"{file}, line 1: a column is named twice: {', '.join(header)}")
        return tuple(header)
    raise SourceError(f"{file}: the file is empty; expected a first line that names the columns")


_COLUMNS_OF = {"parquet": _parquet_columns, "jsonl": _jsonl_columns, "csv": _csv_columns}


def _require(file: Path, columns: tuple[str, ...], kind: TableKind) -> None:
    missing = [asked for names, asked in kind.needs if not set(names) & set(columns)]
    if missing:
        where = f"{file}, line 1" if _format(file, kind) == "csv" else str(file)
        *first, last = kind.columns
        found = ", ".join(columns) or f"none of {', '.join(first)} and {last}"
        raise SourceError(f"{where}: {kind.noun} need {', '.join(missing)}; found {found}")
