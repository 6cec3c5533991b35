"""Parse files of another recommender's lists into `candidates` and `rejected_candidates` (Spark).

Every row ends in exactly one place: a candidate, a rejection with a typed reason, or the count of rows that name a user
or an item unknown to the run.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from persona_pipeline.config import CandidatesConfig
from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.candidate_files import COLUMNS, CandidateFiles
from persona_pipeline.sources.erased import is_erased
from persona_pipeline.sources.files import InputFile
from persona_pipeline.sources.parsing import BATCH
from persona_pipeline.sources.personal_data import mask_personal_data
from persona_pipeline.sources.reader import read_parts
from persona_pipeline.sources.reasons import NOT_FAULTS
from persona_pipeline.sources.records import Fault, Record
from persona_pipeline.sources.shapes import recognise
from persona_pipeline.sources.values import NotScalar, characters, identity, number

_LINES = pa.schema(
    [
        ("source_line", pa.int64()),
        ("part", pa.int32()),
        ("line", pa.string()),
        ("malformed", pa.bool_()),
        *((name, pa.string()) for name in COLUMNS),
    ]
)


@dataclass(frozen=True, slots=True)
class ParsedCandidates:
    """Rows of `candidates` and of `rejected_candidates`, and counts of rows of the files.

    Attributes:
        reasons: rejected rows by reason.
        unknown_users, unknown_items: other rows that name one; a row may name both.
        unknown: rows that name either.
    """

    rows: DataFrame
    rejected: DataFrame
    lines: int
    reasons: dict[str, int]
    unknown_users: int
    unknown_items: int
    unknown: int


def read_candidates(
    spark: SparkSession, files: CandidateFiles, user_name: Callable[[str], str] | None = None
) -> DataFrame:
    """Read columns source_file, source_line (from 1), part, line (masked), malformed, and user_id, item_id, rank, score as texts.

    `user_name` takes a user's id to the one in the tables.
    """
    named = [(file.name, InputFile(file, file.name, file.stat().st_size, recognise(file))) for file in files.paths]
    return read_parts(spark, named, "source_file", _LINES, lambda read: _batches(read, user_name))


def _batches(read: Iterable[Record], user_name: Callable[[str], str] | None) -> Iterator[pa.RecordBatch]:
    records = iter(read)
    while part := list(islice(records, BATCH)):
        rows = [_line(record, user_name) for record in part]
        yield pa.record_batch(
            [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), _LINES, strict=True)],
            schema=_LINES,
        )


def _line(record: Record, user_name: Callable[[str], str] | None) -> tuple[Any, ...]:
    fields = record.fields
    if isinstance(fields, Fault):
        return (record.line, record.part, _shown(fields.excerpt), True, None, None, None, None)
    user, item, rank, score = (_given(fields.get(name)) for name in COLUMNS)
    # What is no number is shown where it is refused, and may be anything.
    rank, score = (text if text is None or number(text) is not None else _shown(text) for text in (rank, score))
    if user is not None and user_name is not None:
        user = user_name(user)
    shown = {name: value for name, value in zip(COLUMNS, (user, item, rank, score), strict=True) if value is not None}
    return (record.line, record.part, _shown(json.dumps(shown, ensure_ascii=False)), False, user, item, rank, score)


def _given(value: Any) -> str | None:
    """A field's characters, ids in their canonical form; None where it is missing, or no single value."""
    try:
        text = characters(value)
    except NotScalar:
        return None
    return None if text is None else identity(text).encode(errors="replace").decode()


def _shown(text: str) -> str:
    return mask_personal_data(text[:4_000].encode(errors="replace").decode())[:2_000]


def without_erased(rows: DataFrame, erased: Callable[[str], bool]) -> DataFrame:
    """Rows of `read_candidates` less those of people who were erased."""

    def kept(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            users, lines = (batch.column(name).to_pylist() for name in ("user_id", "line"))
            stay = [not is_erased(user, line, erased) for user, line in zip(users, lines, strict=True)]
            yield batch.filter(pa.array(stay, pa.bool_()))

    return rows.mapInArrow(kept, rows.schema)


def parse_candidates(lines: DataFrame, files: CandidateFiles, users: DataFrame, items: DataFrame) -> ParsedCandidates:
    """Parse rows of `read_candidates` into candidates.

    A user's list is ordered by rank where the files have one, else by score, equals by item id; of an item named twice
    the better place counts. `users` (user_id) and `items` (item_id) are those known to the run, each once.
    """
    rank = F.regexp_replace("rank", r"\.0$", "").try_cast("int")
    score = F.col("score").try_cast("double")
    faults = [
        ("not_csv" if files.format == "csv" else "not_json", F.col("malformed"), F.lit(None)),
        *((f"missing_{name}", F.col(name).isNull(), F.lit(None)) for name in ("user_id", "item_id")),
        ("missing_rank", F.col("rank").isNull() & F.lit(files.by_rank), F.lit(None)),
        ("bad_rank", F.col("rank").isNotNull() & F.coalesce(rank < 1, F.lit(True)), F.col("rank")),
        ("missing_score", F.col("score").isNull() & F.lit(not files.by_rank), F.lit(None)),
        (
            "bad_score",
            F.col("score").isNotNull() & ~F.coalesce(F.abs(score) < float("inf"), F.lit(False)),
            F.col("score"),
        ),
    ]
    reason, detail = F.lit(None).cast("string"), F.lit(None).cast("string")
    for name, fails, value in reversed(faults):
        reason = F.when(fails, F.lit(name)).otherwise(reason)
        detail = F.when(fails, value).otherwise(detail)
    judged = lines.select(
        "source_file", "source_line", "part", "line", reason.alias("reason"), detail.alias("detail"),
        "user_id", "item_id", rank.alias("rank"), score.alias("score"),
    )  # fmt: skip
    good = F.col("reason").isNull()
    best_first = [F.asc("rank") if files.by_rank else F.desc("score"), F.desc_nulls_last("score")]
    of_item = Window.partitionBy("user_id", "item_id", good).orderBy(*best_first, "source_file", "source_line", "part")
    repeated = F.when(good & (F.row_number().over(of_item) > 1), F.lit("repeated"))
    judged = judged.withColumn("reason", F.coalesce("reason", repeated)).persist()
    known = (
        judged.where(good)
        .join(users.select("user_id", F.lit(True).alias("user_known")), "user_id", "left")
        .join(items.select("item_id", F.lit(True).alias("item_known")), "item_id", "left")
        .persist()
    )
    no_user, no_item = F.col("user_known").isNull(), F.col("item_known").isNull()
    unknown = known.agg(*(F.count_if(c) for c in (no_user, no_item, no_user | no_item))).collect()[0]
    of_user = Window.partitionBy("user_id").orderBy(*best_first, "item_id")
    rows = known.where(~no_user & ~no_item).select(
        "user_id", "item_id", F.row_number().over(of_user).alias("rank"), "score"
    )
    counts = {row["reason"]: row["count"] for row in judged.groupBy("reason").count().collect()}
    reasons = {reason: count for reason, count in counts.items() if reason is not None}
    return ParsedCandidates(rows, _rejected(judged), sum(counts.values()), reasons, *unknown)


def require_usable(parsed: ParsedCandidates, config: CandidatesConfig) -> None:
    """Raise SourceError where more rows than the configuration allows are rejected, or name unknown users or items."""
    faults = {reason: n for reason, n in parsed.reasons.items() if reason not in NOT_FAULTS}
    refused = sum(faults.values())
    if refused > config.max_rejected_share * parsed.lines:
        top = ", ".join(f"{reason} {n:,}" for reason, n in sorted(faults.items(), key=lambda fault: -fault[1])[:3])
        raise SourceError(
            f"candidates: {refused:,} of {parsed.lines:,} rows refused (candidates.max_rejected_share is "
            f"{config.max_rejected_share:.1%}): {top}. They are in the table rejected_candidates with file, line and reason."
        )
    usable = parsed.lines - sum(parsed.reasons.values())
    if parsed.unknown > config.max_unknown_share * usable:
        raise SourceError(
            f"candidates: {parsed.unknown:,} of {usable:,} rows name a user or an item the night does not know "
            f"(users: {parsed.unknown_users:,} rows, items: {parsed.unknown_items:,}; candidates.max_unknown_share is "
            f"{config.max_unknown_share:.1%}). Ids must be those of the reviews; is the file of this shop, and of these days?"
        )


def _rejected(judged: DataFrame) -> DataFrame:
    return judged.where("reason IS NOT NULL").select(
        "source_file",
        "source_line",
        "part",
        "reason",
        F.substring("detail", 1, 200).alias("detail"),
        F.col("line").alias("text"),
    )
