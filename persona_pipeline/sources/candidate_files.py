"""Validate files of candidates before Spark reads them: existing, of one format, with the required columns."""

import csv
import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.containers import check_whole, opened

Format = Literal["parquet", "jsonl", "csv"]
COLUMNS = ("user_id", "item_id", "rank", "score")
_FORMATS: dict[str, Format] = {".parquet": "parquet", ".json": "jsonl", ".jsonl": "jsonl", ".csv": "csv"}
_EXPECTED = "expected *.parquet, *.jsonl, *.json or *.csv, the last three plain or .gz"
_SAMPLED_LINES = 100


@dataclass(frozen=True, slots=True)
class CandidateFiles:
    """Validated files of one format.

    Attributes:
        columns: of a CSV file, all in their order; else those of `COLUMNS` that are present.
    """

    paths: tuple[Path, ...]
    format: Format
    columns: tuple[str, ...]

    @property
    def by_rank(self) -> bool:
        """Whether a user's list is ordered by rank; else by score."""
        return "rank" in self.columns


def check_candidates(path: Path) -> CandidateFiles:
    """Validate the file, or the files of the folder: user, item, and rank or score must be present.

    Reads gzip files whole, of others the beginning. Raises SourceError naming file, column and what was expected.
    """
    paths = _found(path)
    formats = {file: _format(file) for file in paths}
    if len(set(formats.values())) > 1:
        raise SourceError(
            f"candidates.file: the folder {path} holds {', '.join(sorted(set(formats.values())))}; give one format"
        )
    form = formats[paths[0]]
    columns = [_COLUMNS_OF[form](file) for file in paths]
    for file, found in zip(paths, columns, strict=True):
        if form != "jsonl" and found != columns[0]:
            raise SourceError(
                f"{file}: its columns are {', '.join(found)}, those of {paths[0].name} {', '.join(columns[0])}; "
                "files of one folder have the same columns"
            )
        _require(file, found)
        check_whole(file)
    return CandidateFiles(tuple(paths), form, columns[0])


def _found(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(f"candidates.file: no file or folder {path}; {_EXPECTED}")
    found = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] not in "._")
    if not found:
        raise SourceError(f"candidates.file: nothing in the folder {path}; {_EXPECTED}")
    return found


def _format(file: Path) -> Format:
    name = file.name.removesuffix(".gz")
    suffix = Path(name).suffix
    if suffix not in _FORMATS or (suffix == ".parquet" and name != file.name):
        raise SourceError(f"candidates.file: {file}: unknown kind of file; {_EXPECTED}")
    return _FORMATS[suffix]


def _parquet_columns(file: Path) -> tuple[str, ...]:
    try:
        schema = pq.read_schema(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{file}: not a Parquet file: {error}") from error
    for name in set(COLUMNS) & set(schema.names):
        kind = schema.field(name).type
        if name in ("user_id", "item_id"):
            fits, expected = _is_text(kind) or pa.types.is_integer(kind), "a string or a whole number"
        else:
            fits, expected = pa.types.is_integer(kind) or pa.types.is_floating(kind), "a number"
        if not fits:
            raise SourceError(f"{file}: column {name} is {kind}; expected {expected}")
    return tuple(name for name in COLUMNS if name in schema.names)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _jsonl_columns(file: Path) -> tuple[str, ...]:
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
    return tuple(name for name in COLUMNS if name in seen)


def _csv_columns(file: Path) -> tuple[str, ...]:
    with opened(file) as stream:
        first = stream.readline()
    if first:
        header = [name.strip() for name in next(csv.reader([first.decode("utf-8-sig", "replace")]), [])]
        if len(set(header)) < len(header):
            raise SourceError(f"{file}, line 1: a column is named twice: {', '.join(header)}")
        return tuple(header)
    raise SourceError(f"{file}: the file is empty; expected a first line that names the columns")


_COLUMNS_OF = {"parquet": _parquet_columns, "jsonl": _jsonl_columns, "csv": _csv_columns}


def _require(file: Path, columns: tuple[str, ...]) -> None:
    missing = [name for name in ("user_id", "item_id") if name not in columns]
    if not {"rank", "score"} & set(columns):
        missing.append("rank (1 is best) or score (more is better)")
    if missing:
        where = f"{file}, line 1" if _format(file) == "csv" else str(file)
        found = ", ".join(columns) or "none of user_id, item_id, rank and score"
        raise SourceError(f"{where}: candidates need {', '.join(missing)}; found {found}")
