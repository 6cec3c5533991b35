"""Write data files of a Delta table: by workers, each some of the rows, that are committed together once all are done.

A file that nobody commits, of a worker that was killed or was tried again, belongs to no version: retention deletes it.
"""

import json
import math
import uuid
from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from persona_pipeline.contracts import Contract
from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.warehouse._delta import without_comments

ROWS_PER_GROUP = 512
"""Rows of a row group of a sorted table: the unit read to look up one row."""
_BYTES = 32 << 20  # of a file's rows in memory: what a worker holds
_LONGEST = 32  # characters of a string in the statistics
_LAST = "\U0010ffff"  # follows a longer one that was cut, so that it stays an upper bound


class DataFile(NamedTuple):
    """A file that lies in a table's folder: its name there, what it takes, and its statistics as Delta's log has them."""

    path: str
    size: int
    modified: int
    """Milliseconds since 1970."""
    stats: str


def written_files(folder: Path, contract: Contract, batches: Iterable[pa.RecordBatch]) -> Iterator[DataFile]:
    """Write batches, which have the contract's columns but those of its partitions, as Parquet files of bounded size."""
    schema = _stored(contract)
    bounded = [c.name for c in contract.columns if c.type != "list" and c.subject not in ("words", "record")]
    for rows in _tables(schema, batches):
        path = folder / f"part-{uuid.uuid4()}.parquet"
        group = max(1, rows.num_rows)
        if contract.sort_by:
            rows, group = rows.sort_by([(name, "ascending") for name in contract.sort_by]), ROWS_PER_GROUP
        with atomic_file(path) as partial:
            pq.write_table(rows, partial, compression="snappy", row_group_size=group)
        stats = statistics(rows, bounded)
        found = path.stat()
        yield DataFile(path.name, found.st_size, found.st_mtime_ns // 1_000_000, json.dumps(stats))


def statistics(rows: pa.Table, bounded: Collection[str]) -> dict[str, Any]:
    """Statistics in Delta's form: nulls of every column that is no list or struct, and bounds of the `bounded` ones."""
    told: dict[str, Any] = {"numRecords": rows.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        if pa.types.is_nested(column.type):
            continue
        # Also of a column that has only nulls: of one that is not counted delta-rs takes it that none is null.
        told["nullCount"][name] = column.null_count
        if name not in bounded:
            continue
        bounds = pc.min_max(column).as_py()
        low, high = _bound(bounds["min"]), _bound(bounds["max"])
        # Both or neither: of one bound alone delta-rs makes a condition that no row meets.
        if low is not None and high is not None:
            is_text = isinstance(bounds["min"], str)
            told["minValues"][name] = low[:_LONGEST] if is_text else low
            told["maxValues"][name] = high[:_LONGEST] + _LAST if is_text and len(high) > _LONGEST else high
    return told


def _bound(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _stored(contract: Contract) -> pa.Schema:
    kept = [field for field in contract.arrow_schema() if field.name not in contract.partition_by]
    return pa.schema([without_comments(field) for field in kept])


def _tables(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches as tables of some `_BYTES`."""
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        waiting.append(batch.cast(schema))
        size += batch.nbytes
        if size >= _BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting, size = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting, schema)
