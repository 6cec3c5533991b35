"""Decide which items may be recommended on a day: the windows of `eligibility.file`, and who is in a full catalogue (Spark).

An item that the file does not name may always be recommended. One that it names may be inside one of its windows, from a
date up to another, exclusive; what is left out is open. A row with a reason and without dates stops the item, whatever its
windows say. The day is the night's `as_of`: lists made then are shown that day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from persona_pipeline.config import EligibilityConfig
from persona_pipeline.sources.table_files import TableFiles, check_paths
from persona_pipeline.sources.table_kinds import WINDOWS
from persona_pipeline.sources.table_rows import read_rows, require_sound, verdict

DELISTED, OUTSIDE = "delisted", "outside_window"
_A_DATE = "a date such as 2024-06-30, in UTC and without a time of day"
_EXPECTED = {
    "missing_item_id": "an item",
    "missing_window": "from, until, or the reason why the item is not recommended at all",
    "bad_from": _A_DATE,
    "bad_until": _A_DATE,
    "empty_window": "until after from: it is the first day on which the item is not recommended",
}
_REASON = 200  # characters
_SHOWN = 10  # reasons that a summary counts one by one


@dataclass(frozen=True, slots=True)
class Availability:
    """Items with `available` and `unavailable_reason`, and the counts that are known before they are written."""

    items: DataFrame
    figures: dict[str, int]


def available_tonight(
    spark: SparkSession, items: DataFrame, files: Sequence[Path], config: EligibilityConfig, as_of: date
) -> Availability:
    """Add `available` and `unavailable_reason` to rows of `items`, by the run's files of windows, of which there may be none.

    Raises SourceError naming file, line and what was expected.
    """
    windows, figures = None, {}
    if files:
        windows = read_windows(spark, check_paths(files, WINDOWS)).persist()
        named = windows.select("item_id").distinct()
        unknown = named.join(items.select("item_id"), "item_id", "left_anti").count()
        figures = {"windows": windows.count(), "unknown_items": unknown}
    return Availability(with_availability(items, windows, as_of, config.full_catalogue), figures)


def read_windows(spark: SparkSession, files: TableFiles) -> DataFrame:
    """Read columns item_id, first, last (dates, null where open) and reason. Raises SourceError for a row that is not sound."""
    first, last = _day("from"), _day("until")
    both_open = F.col("from").isNull() & F.col("until").isNull()
    nothing = F.lit(None)
    faults = [
        ("missing_item_id", F.col("item_id").isNull(), nothing),
        ("missing_window", both_open & F.col("reason").isNull(), nothing),
        ("bad_from", F.col("from").isNotNull() & first.isNull(), F.col("from")),
        ("bad_until", F.col("until").isNotNull() & last.isNull(), F.col("until")),
        ("empty_window", F.coalesce(last <= first, F.lit(False)), F.concat_ws(" to ", "from", "until")),
    ]
    reason = F.substring(F.regexp_replace("reason", r"\s+", " "), 1, _REASON)
    judged = read_rows(spark, files).select(
        "source_file",
        "source_line",
        *verdict(files, faults),
        "item_id",
        first.alias("first"),
        last.alias("last"),
        reason.alias("why"),
    )
    require_sound(judged, files, _EXPECTED)
    return judged.select("item_id", "first", "last", F.col("why").alias("reason"))


def with_availability(items: DataFrame, windows: DataFrame | None, as_of: date, full_catalogue: bool) -> DataFrame:
    """Add `available` and `unavailable_reason` to rows of `items`.

    Args:
        items: with item_id and has_metadata.
        windows: rows of `read_windows`; None is none.
        as_of: the day.
        full_catalogue: whether an item without metadata is delisted.

    The reason of an item outside its windows is that of the window that ended last, else of the one that begins next.
    """
    reason = F.when(~F.col("has_metadata"), DELISTED) if full_catalogue else F.lit(None).cast("string")
    if windows is None:
        return _judged(items, reason)
    stopped = F.col("first").isNull() & F.col("last").isNull()
    begun = F.coalesce(F.col("first") <= F.lit(as_of), F.lit(True))
    ended = F.coalesce(F.col("last") <= F.lit(as_of), F.lit(False))
    told = F.col("reason").isNotNull()
    of_item = windows.groupBy("item_id").agg(
        F.min(F.when(stopped, F.col("reason"))).alias("stopped"),
        F.bool_or(~stopped & begun & ~ended).alias("inside"),
        F.max(F.when(ended & told, F.struct("last", "reason"))).alias("ended"),
        F.min(F.when(~begun & told, F.struct("first", "reason"))).alias("begins"),
    )
    outside = F.coalesce("ended.reason", "begins.reason", F.lit(OUTSIDE))
    reason = F.coalesce(reason, "stopped", F.when(~F.col("inside"), outside))
    found = _judged(items.join(of_item, "item_id", "left"), reason)
    return found.drop("stopped", "inside", "ended", "begins")


def unavailable_counts(reasons: pa.ChunkedArray) -> dict[str, int]:
    """Count items that may not be recommended by their reason, the most frequent first; `other` are all further ones."""
    counts = sorted(
        ((n["counts"], n["values"]) for n in reasons.value_counts().to_pylist()), key=lambda n: (-n[0], n[1])
    )
    found = {reason: n for n, reason in counts[:_SHOWN]}
    other = sum(n for n, _ in counts[_SHOWN:])
    return found | ({"other": other} if other else {})


def _judged(items: DataFrame, reason: Column) -> DataFrame:
    return items.withColumn("unavailable_reason", reason).withColumn("available", F.col("unavailable_reason").isNull())


def _day(name: str) -> Column:
    """A date; null for anything else. Midnight UTC, as Parquet's and pandas' timestamps of a date are written, is a date."""
    text = F.regexp_replace(F.col(name), r"[T ]00:00(:00(\.0+)?)?(Z|\+00:?00)?$", "")
    return F.when(text.rlike(r"^\d{4}-\d{2}-\d{2}$"), text.try_cast("date"))
