"""Validate files of rows before Spark reads them: existing, of one format, with the columns that their kind needs.

They are listed and recognised as files of records are: by what they hold, not by their names.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.digests import require_whole
from persona_pipeline.sources.files import InputFile
from persona_pipeline.sources.folders import list_files
from persona_pipeline.sources.records import Split, records
from persona_pipeline.sources.shapes import SAMPLED, Format, Shape, recognise

ColumnKind = Literal["text", "number", "date"]


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
        format: of those that hold anything.
        columns: those of the kind that are present.
    """

    kind: TableKind
    files: tuple[InputFile, ...]
    format: Format
    columns: tuple[str, ...]


def check_table(path: Path, kind: TableKind) -> TableFiles:
    """Validate the file, or the files of the folder.

    Reads packed files whole, of others the beginning; a file may be empty. Raises SourceError naming file, column and what was
    expected.
    """
    return check_paths(list_files(path, kind.setting).files, kind)


def check_paths(paths: Sequence[Path], kind: TableKind) -> TableFiles:
    """Validate files, of which there is at least one."""
    root = Path(os.path.commonpath([file.parent for file in paths]))
    files: list[InputFile] = []
    of_file: dict[Path, frozenset[str]] = {}
    formats: set[Format] = set()
    for path in paths:
        shape = recognise(path)
        require_whole(path)
        files.append(InputFile(path, path.relative_to(root).as_posix(), path.stat().st_size, shape))
        if shape is not None and (there := _columns(path, shape)):
            _check(path, shape, there, kind)
            formats.add(shape.format)
            of_file[path] = frozenset(there) & kind.columns.keys()
    if len(formats) > 1:
        raise SourceError(f"{kind.setting}: the input holds {', '.join(sorted(formats))}; give one format")
    form: Format = next(iter(formats), "json")
    every = frozenset[str]().union(*of_file.values())
    for path, columns in of_file.items():
        if form != "json" and (absent := every - columns):
            raise SourceError(
                f"{path}: the column {', '.join(sorted(absent))} of other files is not in it; files of one folder have the same "
                "columns"
            )
    return TableFiles(kind, tuple(files), form, tuple(name for name in kind.columns if name in every))


def _columns(path: Path, shape: Shape) -> tuple[str, ...]:
    """Columns of a file, or keys of its first records."""
    if shape.format in ("csv", "parquet"):
        return shape.columns
    sampled = [record.fields for record in islice(records(Split(path, shape)), SAMPLED)]
    return tuple(dict.fromkeys(str(key) for fields in sampled if isinstance(fields, dict) for key in fields))


def _check(path: Path, shape: Shape, columns: tuple[str, ...], kind: TableKind) -> None:
    where = f"{path}, line 1" if shape.format == "csv" else str(path)
    if shape.format == "literals":
        raise SourceError(f"{path}: this is Python literals; expected JSON, CSV or Parquet")
    if twice := [name for name in kind.columns if columns.count(name) > 1]:
        raise SourceError(f"{where}: a column is named twice: {twice[0]}")
    if shape.format == "parquet":
        _check_types(path, kind)
    if missing := [asked for names, asked in kind.needs if not set(names) & set(columns)]:
        # A first line that names none of them may be a row, whose values are not for a message, which is kept.
        named = set(columns) & kind.columns.keys()
        found = ", ".join(columns) if named else f"{len(columns)} others"
        raise SourceError(f"{where}: {kind.noun} need {', '.join(missing)}; found {found}")


def _check_types(file: Path, kind: TableKind) -> None:
    schema = pq.read_schema(file)
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


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
