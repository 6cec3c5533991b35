"""Read files of rows, each value as the characters that the file has, and judge every row (Spark)."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.parsing import BATCH
from persona_pipeline.sources.personal_data import mask_personal_data
from persona_pipeline.sources.reader import read_parts
from persona_pipeline.sources.records import EMPTY, Record
from persona_pipeline.sources.records import Fault as Unreadable
from persona_pipeline.sources.table_files import ColumnKind, TableFiles
from persona_pipeline.sources.values import NotScalar, characters, identity, number

_PLACE = [("source_line", pa.int64()), ("part", pa.int32()), ("line", pa.string()), ("malformed", pa.bool_())]

_SHOWN = 5  # faulty rows that a message names
_ROW = {"csv": "a row with the columns of the first line", "json": "a JSON object", "parquet": "a row"}
Fault = tuple[str, Column, Column]
"""A reason, the condition that a faulty row meets, and the value at fault (null where it is the row)."""


def read_rows(spark: SparkSession, files: TableFiles, user_name: Callable[[str], str] | None = None) -> DataFrame:
    """Read columns source_file, source_line (from 1), part, line (masked), malformed, and the columns of the kind as texts.

    Null is a value that is missing. `user_name` takes a user's id to the one in the tables.
    """
    columns, named = files.kind.columns, [(file.name, file) for file in files.files]
    schema = pa.schema([*_PLACE, *((name, pa.string()) for name in columns)])

    def batches(read: Iterable[Record]) -> Iterator[pa.RecordBatch]:
        left = (record for record in read if not _is_empty(record))
        while part := list(islice(left, BATCH)):
            rows = zip(*(_row(record, columns, user_name) for record in part), strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(rows, schema, strict=True)]
            yield pa.record_batch(arrays, schema=schema)

    return read_parts(spark, named, "source_file", schema, batches)


def _is_empty(record: Record) -> bool:
    return isinstance(record.fields, Unreadable) and record.fields.reason == EMPTY


def _row(record: Record, columns: Mapping[str, ColumnKind], user_name: Callable[[str], str] | None) -> tuple[Any, ...]:
    fields = record.fields
    if isinstance(fields, Unreadable):
        return (record.line, record.part, _shown(fields.excerpt), True, *(None for _ in columns))
    found = {name: _given(fields.get(name), kind) for name, kind in columns.items()}
    user = found.get("user_id")
    if user is not None and user_name is not None:
        found["user_id"] = user_name(user)
    shown = {name: value for name, value in found.items() if value is not None}
    line = _shown(json.dumps(shown, ensure_ascii=False))
    return (record.line, record.part, line, False, *found.values())


def _given(value: Any, kind: ColumnKind) -> str | None:
    """A field's characters, ids in their canonical form; None where it is missing, or no single value."""
    try:
        text = characters(value)
    except NotScalar:
        return None
    if text is None:
        return None
    text = identity(text).encode(errors="replace").decode()
    # What is no number is shown where it is refused, and may be anything.
    return text if kind != "number" or number(text) is not None else _shown(text)


def _shown(text: str) -> str:
    return mask_personal_data(text[:4_000].encode(errors="replace").decode())[:2_000]


def verdict(files: TableFiles, faults: Sequence[Fault]) -> tuple[Column, Column]:
    """Columns reason and detail of the first fault of a row of `read_rows`; both null for a good row."""
    malformed = ("not_csv" if files.format == "csv" else "not_json", F.col("malformed"), F.lit(None))
    reason, detail = _null(), _null()
    for name, fails, value in reversed([malformed, *faults]):
        reason = F.when(fails, F.lit(name)).otherwise(reason)
        detail = F.when(fails, value).otherwise(detail)
    return reason.alias("reason"), detail.alias("detail")


def _null() -> Column:
    return F.lit(None).cast("string")


def require_sound(judged: DataFrame, files: TableFiles, expected: Mapping[str, str]) -> None:
    """Raise SourceError for rows that `verdict` finds fault with, naming the first of them and what was `expected`, by reason.

    For rows that decide what nobody may see: leaving a faulty one out would show it.
    """
    faulty = judged.where("reason IS NOT NULL").persist()
    counts = {row["reason"]: row["count"] for row in faulty.groupBy("reason").count().collect()}
    if not counts:
        faulty.unpersist()
        return
    first = faulty.orderBy("source_file", "source_line").limit(_SHOWN).collect()
    lines = [
        f"  {row['source_file']}, line {row['source_line']}: {row['reason']}"
        + (f" {row['detail'][:80]!r}" if row["detail"] else "")
        + f"; expected {expected.get(row['reason'], _ROW[files.format])}"
        for row in first
    ]
    more = sum(counts.values()) - len(first)
    total = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items(), key=lambda fault: -fault[1]))
    raise SourceError(
        f"{files.kind.setting}: {sum(counts.values()):,} rows cannot be understood ({total}), and what they rule out would be "
        "shown; mend them:\n" + "\n".join(lines) + (f"\n  and {more:,} more" if more else "")
    )
