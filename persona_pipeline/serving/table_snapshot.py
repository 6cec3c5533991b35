"""Look up rows of one version of a table by key: delta-rs lists the files, pyarrow reads those that may hold the key.

Files are skipped by their partition and by Delta's min/max statistics, row groups by those in
Parquet's footer. So a row of a table that is sorted by its key is a few milliseconds away, whatever the
table's size; of any other table the key column is read, and the other columns only on a match.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from persona_pipeline.contracts import Contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.warehouse._earlier import completed, lacking

_FILES = 4096  # whose row groups' bounds are kept, some 200 bytes a group


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of a table.

    Attributes:
        path: of the file.
        partition: its partition columns.
        stats: `min.<column>` and `max.<column>` as in Delta's log; those of long strings are bounds, not values.
    """

    path: str
    partition: dict[str, Any]
    stats: dict[str, Any]

    def may_hold(self, column: str, values: Collection[str]) -> bool:
        """Whether one of the values can be in the column, by Delta's statistics."""
        return _within(self.stats.get(f"min.{column}"), self.stats.get(f"max.{column}"), values)


class TableSnapshot:
    """One version of a table; read-only and thread-safe.

    Its files stay readable after later commits, until a vacuum removes those that no retained release names; where an
    erasure has put others in their place, the same version is opened again. With its contract, a version that an
    earlier version of this code made has all columns.
    """

    def __init__(self, folder: Path, version: int | None = None, contract: Contract | None = None) -> None:
        self._folder = folder
        try:
            stored = DeltaTable(str(folder), version=version)
        except DeltaError as error:
            at = "" if version is None else f"version {version} "
            raise PipelineError(f"table {folder.name}: {at}cannot be opened at {folder}: {error}") from error
        self.name, self.version = folder.name, stored.version()
        self._schema = pa.schema(stored.schema().to_arrow())
        self._contract = contract if contract and lacking(contract, self._schema) else None
        self._partitions = list(stored.metadata().partition_columns)
        self.files = _files(folder, stored)

    def rows(
        self,
        key: str,
        values: Collection[str],
        columns: Sequence[str] | None = None,
        partition: Mapping[str, Any] | None = None,
    ) -> pa.Table:
        """Look up rows whose `key` is one of `values`, unordered: the columns given, or all but the partition's.

        `partition` gives a partition column's value that all of these rows are known to have.
        """
        return self._read_whole(lambda: self._rows(key, values, columns, partition))

    def _rows(
        self, key: str, values: Collection[str], columns: Sequence[str] | None, partition: Mapping[str, Any] | None
    ) -> pa.Table:
        names = self._names(columns)
        wanted = pa.array(sorted(values), pa.string())
        held = (file for file in self.files if (partition or {}).items() <= file.partition.items())
        parts = [
            part
            for file in held
            if file.may_hold(key, values)
            for part in _matching(file.path, key, values, wanted, names)
        ]
        return self._joined(parts, names, columns)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read all rows, unordered: the columns given, or all but the partition's."""
        names = self._names(columns)
        return self._read_whole(lambda: self._joined([_whole(file.path, names) for file in self.files], names, columns))

    def _read_whole(self, read: Callable[[], pa.Table]) -> pa.Table:
        try:
            return read()
        except FileNotFoundError:
            self.files = _files(self._folder, DeltaTable(str(self._folder), version=self.version))
            return read()

    def _names(self, columns: Sequence[str] | None) -> list[str]:
        """Of the columns asked for those that are stored."""
        stored = self._schema.names
        if columns is None:
            return [name for name in stored if name not in self._partitions]
        return [name for name in columns if name in stored or self._contract is None]

    def _joined(self, parts: list[pa.Table], names: list[str], columns: Sequence[str] | None) -> pa.Table:
        empty = pa.schema([self._schema.field(name) for name in names]).empty_table()
        found = pa.concat_tables(parts, promote_options="permissive") if parts else empty
        for name in names:
            if name not in found.column_names:
                found = found.append_column(name, pa.nulls(found.num_rows, self._schema.field(name).type))
        found = found.select(names)
        return completed(self._contract, found, columns) if self._contract else found


def _files(folder: Path, stored: DeltaTable) -> list[DataFile]:
    return [_file(folder, row) for row in pa.table(stored.get_add_actions(flatten=True)).to_pylist()]


def _file(folder: Path, row: Mapping[str, Any]) -> DataFile:
    partition = {name.removeprefix("partition."): v for name, v in row.items() if name.startswith("partition.")}
    stats = {name: v for name, v in row.items() if name.startswith(("min.", "max."))}
    return DataFile(str(folder / unquote(row["path"])), partition, stats)


def _within(low: Any, high: Any, values: Iterable[str]) -> bool:
    return low is None or high is None or any(low <= value <= high for value in values)


@lru_cache(maxsize=_FILES)  # a Delta table's files never change
def _bounds(path: str, key: str) -> list[tuple[Any, Any]]:
    """Minimum and maximum of a column by row group; None where unknown.

    The footer is not cached: it takes some 30 kB a group, and where the last ones used were kept, memory grew by a
    megabyte with each that was let go, in pieces too small to be used again. It is read for every answer, in 1.5 ms.
    """
    metadata = pq.read_metadata(path)
    (leaf,) = (n for n in range(metadata.num_columns) if metadata.schema.column(n).path == key)
    found = (metadata.row_group(group).column(leaf).statistics for group in range(metadata.num_row_groups))
    return [(s.min, s.max) if s is not None and s.has_min_max else (None, None) for s in found]


def _whole(path: str, columns: list[str]) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read([name for name in columns if name in file.schema_arrow.names])


def _matching(path: str, key: str, values: Collection[str], wanted: pa.Array, columns: list[str]) -> list[pa.Table]:
    groups = [n for n, (low, high) in enumerate(_bounds(path, key)) if _within(low, high, values)]
    if not groups:
        return []
    parts = []
    with pq.ParquetFile(path) as file:
        for group in groups:
            if (
                len(groups) > 1
                and not pc.any(_is_one(file.read_row_group(group, [key], use_threads=False)[key], wanted)).as_py()
            ):
                continue
            # A file from before a column was added to its table lacks it.
            held = [name for name in columns if name in file.schema_arrow.names]
            read = file.read_row_group(group, list(dict.fromkeys([*held, key])), use_threads=False)
            parts.append(read.filter(_is_one(read[key], wanted)).select(held))
    return [part for part in parts if part.num_rows]


def _is_one(column: pa.ChunkedArray, wanted: pa.Array) -> pa.ChunkedArray:
    return pc.is_in(column, wanted.cast(column.type))
