"""Parse input lines into `reviews`, `items` and `rejected_reviews` (Spark).

Every line ends in exactly one place: a row, a rejection with a typed reason, or the count of reviews not yet due or
withheld for a backtest.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.adapters import Adapter
from persona_pipeline.sources.cleaning import clean_text, mask_personal_data
from persona_pipeline.sources.deduplication import repeated_item, with_repeats
from persona_pipeline.sources.reasons import NOT_FAULTS


@dataclass(frozen=True, slots=True)
class ParsedInput:
    """Lines of one kind: valid rows and rejected lines. Reviews written at or after `as_of`, or withheld, are in neither."""

    rows: DataFrame
    rejected: DataFrame
    lines: int
    not_yet: int
    withheld: int = 0


def read_lines(spark: SparkSession, files: list[Path]) -> DataFrame:
    """Read columns source_file, source_line (from 1) and line from plain or gzip text files; blank lines are left out.

    Spark reads a large plain file in blocks and numbers nothing: rows are numbered within their block, and blocks
    offset by the lines of those before them, without sorting or moving a row.
    """
    raw = spark.read.text([str(file) for file in files]).select(
        F.col("_metadata.file_name").alias("source_file"),
        F.col("_metadata.file_block_start").alias("block"),
        F.monotonically_increasing_id().alias("serial"),
        F.col("value").alias("line"),
    )
    before = Window.partitionBy("source_file").orderBy("block").rowsBetween(Window.unboundedPreceding, -1)
    blocks = (
        raw.groupBy("source_file", "block")
        .agg(F.min("serial").alias("first"), F.count("*").alias("lines"))
        .withColumn("offset", F.coalesce(F.sum("lines").over(before), F.lit(0)))
        .drop("lines")
    )
    numbered = raw.join(F.broadcast(blocks), ["source_file", "block"]).select(
        "source_file", (F.col("serial") - F.col("first") + F.col("offset") + 1).alias("source_line"), "line"
    )
    # One gzip file is one partition; what follows is worth spreading.
    return numbered.where(F.trim("line") != "").repartition(spark.sparkContext.defaultParallelism)


def timestamp_column(text: Column) -> Column:
    """`files.parse_timestamp` as a Spark expression: s, ms or ISO 8601 to a UTC timestamp, null for any other form."""
    whole = F.regexp_replace(F.trim(text), r"\.0$", "")
    number = whole.try_cast("long")
    epoch = F.when(F.length(whole) > 11, F.timestamp_millis(number)).otherwise(F.timestamp_seconds(number))
    return F.when(whole.rlike(r"^\d{1,14}$"), epoch).when(whole.rlike(r"^\d{4}-"), F.try_to_timestamp(whole))


def parse_reviews(
    lines: DataFrame, adapter: Adapter, config: ReviewsConfig, as_of: date, withheld: DataFrame | None = None
) -> ParsedInput:
    """Parse canonical reviews written before `as_of`, one per user and item. `lines` should be persisted: it is scanned twice.

    `withheld` (column review_id) is left out last: an older review of the same user and item, which the withheld one
    replaces, stays out with it.
    """
    record = _record(lines, adapter.reviews)
    rating = _field(adapter.reviews, "rating").try_cast("double")
    when = timestamp_column(_field(adapter.reviews, "timestamp"))
    checks = [
        *(("missing_" + n, _field(adapter.reviews, n).isNull(), F.lit(None)) for n in ("user_id", "item_id")),
        ("missing_rating", _field(adapter.reviews, "rating").isNull(), F.lit(None)),
        ("bad_rating", F.coalesce(~rating.between(1, 5), F.lit(True)), _field(adapter.reviews, "rating")),
        ("missing_timestamp", _field(adapter.reviews, "timestamp").isNull(), F.lit(None)),
        ("bad_timestamp", F.coalesce(F.year(when) < 1990, F.lit(True)), _field(adapter.reviews, "timestamp")),
    ]
    text = _field(adapter.reviews, "text")
    derived = F.concat_ws(
        "\u001f", _field(adapter.reviews, "user_id"), _field(adapter.reviews, "item_id"), when.cast("string"), text
    )
    judged = record.select(
        "source_file",
        "source_line",
        "line",
        *_verdict(checks),
        F.coalesce(_field(adapter.reviews, "review_id"), F.substring(F.sha2(derived, 256), 1, 16)).alias("review_id"),
        _field(adapter.reviews, "user_id").alias("user_id"),
        _field(adapter.reviews, "item_id").alias("item_id"),
        rating.alias("rating"),
        clean_text(_field(adapter.reviews, "title"), config.max_characters).alias("title"),
        F.coalesce(clean_text(text, config.max_characters), F.lit("")).alias("text"),
        when.alias("reviewed_at"),
    )
    due = judged.where(F.col("reason").isNotNull() | (F.col("reviewed_at") < F.lit(as_of)))
    deduplicated = with_repeats(due).persist()
    total, kept = lines.count(), deduplicated.count()
    rows = deduplicated.where("reason IS NULL").drop("line", "reason", "detail")
    left_out = 0
    if withheld is not None:
        left_out = rows.join(withheld, "review_id", "left_semi").count()
        rows = rows.join(withheld, "review_id", "left_anti")
    return ParsedInput(rows, _rejected(deduplicated, "reviews"), total, total - kept, left_out)


def parse_items(lines: DataFrame, adapter: Adapter, config: ReviewsConfig) -> ParsedInput:
    """Parse canonical item metadata, the last line of an item winning."""
    record = _record(lines, adapter.items)
    item_id = _field(adapter.items, "item_id")
    judged = record.select(
        "source_file",
        "source_line",
        "line",
        *_verdict([("missing_item_id", item_id.isNull(), F.lit(None))]),
        item_id.alias("item_id"),
        clean_text(_field(adapter.items, "title"), 300).alias("title"),
        clean_text(_field(adapter.items, "creator"), 300).alias("creator"),
        F.transform(_texts(_field(adapter.items, "categories")), lambda c: clean_text(c, 300)).alias("categories"),
        clean_text(F.concat_ws(" ", _texts(_field(adapter.items, "description"))), config.max_characters).alias(
            "description"
        ),
    )
    deduplicated = judged.withColumn("reason", F.coalesce("reason", repeated_item())).persist()
    rows = deduplicated.where("reason IS NULL").select(
        "item_id",
        "title",
        "creator",
        F.array_distinct(F.array_compact("categories")).alias("categories"),
        "description",
        F.lit(True).alias("has_metadata"),
    )
    return ParsedInput(rows, _rejected(deduplicated, "items"), lines.count(), 0)


def with_reviewed_items(items: DataFrame, reviews: DataFrame) -> DataFrame:
    """Add a bare row for every item that only reviews name to the items with metadata."""
    bare = reviews.select("item_id").distinct().join(items.select("item_id"), "item_id", "left_anti")
    empty = bare.select(
        "item_id",
        F.lit(None).cast("string").alias("title"),
        F.lit(None).cast("string").alias("creator"),
        F.array().cast("array<string>").alias("categories"),
        F.lit(None).cast("string").alias("description"),
        F.lit(False).alias("has_metadata"),
    )
    return items.unionByName(empty)


def _record(lines: DataFrame, fields: dict[str, str]) -> DataFrame:
    # Every value is read as the text it has in the file: a wrong type is then a typed reason, not a lost row.
    schema = ", ".join(f"`{key}` string" for key in dict.fromkeys(fields.values())) + ", `_corrupt` string"
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_corrupt"}
    return lines.withColumn("record", F.from_json("line", schema, options))


def _field(fields: dict[str, str], name: str) -> Column:
    """A canonical field as trimmed text; null where the source has no such key or value."""
    if name not in fields:
        return F.lit(None).cast("string")
    text = F.trim(F.col("record").getField(fields[name]))
    return F.when(text != "", text)


def _texts(value: Column) -> Column:
    """Convert a JSON array of texts, an array of such arrays, or one plain text, to an array of texts."""
    nested = F.flatten(F.from_json(value, "array<array<string>>"))
    flat = F.from_json(value, "array<string>")
    listed = F.when(value.rlike(r"^\[\s*\["), nested).when(value.startswith("["), flat)
    return F.coalesce(listed, F.when(value.isNotNull(), F.array(value)), F.array().cast("array<string>"))


def _verdict(checks: list[tuple[str, Column, Column]]) -> tuple[Column, Column]:
    """Columns reason and detail of the first check that fails; both null for a valid line."""
    not_json = F.col("record").isNull() | F.col("record._corrupt").isNotNull()
    reason, detail = F.when(not_json, F.lit("not_json")), F.when(not_json, F.lit(None).cast("string"))
    for name, fails, value in checks:
        reason, detail = reason.when(fails, F.lit(name)), detail.when(fails, value)
    return reason.alias("reason"), F.substring(mask_personal_data(detail), 1, 200).alias("detail")


def _rejected(judged: DataFrame, kind: str) -> DataFrame:
    return judged.where("reason IS NOT NULL").select(
        "source_file",
        "source_line",
        F.lit(kind).alias("input"),
        "reason",
        "detail",
        F.substring(mask_personal_data(F.col("line")), 1, 2000).alias("text"),
    )


def require_few_rejections(kind: str, lines: int, reasons: dict[str, int], max_share: float) -> None:
    """Raise SourceError naming the top reasons when more than `max_share` of the lines are faulty."""
    faults = {reason: n for reason, n in reasons.items() if reason not in NOT_FAULTS}
    refused = sum(faults.values())
    if refused <= max_share * lines:
        return
    top = ", ".join(f"{reason} {n:,}" for reason, n in sorted(faults.items(), key=lambda item: -item[1])[:3])
    raise SourceError(
        f"{kind}: {refused:,} of {lines:,} lines refused ({refused / lines:.1%}; reviews.max_rejected_share is {max_share:.1%}): "
        f"{top}. They are in the table rejected_reviews with file, line and reason."
    )
