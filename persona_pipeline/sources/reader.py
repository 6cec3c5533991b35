"""Read input files by Spark, each part of a file in one task, and choose what of their records a night keeps.

Files are read and parsed by the same functions as without Spark (`records`, `parsing`): Spark lends its workers, and joins. Every
record ends in exactly one place: a row, a rejection with a typed reason, or the count of reviews not yet due, withheld for a
backtest, or of users who were erased.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from persona_pipeline.sources.adapters import Adapter
from persona_pipeline.sources.deduplication import PLACE, repeats, small
from persona_pipeline.sources.files import InputFile, splits
from persona_pipeline.sources.near_duplicates import KEYS
from persona_pipeline.sources.parsing import ITEM_SCHEMA, ParsingSettings, item_batches
from persona_pipeline.sources.reasons import require_few_faults
from persona_pipeline.sources.records import Record, Split, records

Parse = Callable[[Iterable[Record]], Iterator[pa.RecordBatch]]
Batches = Iterator[pa.RecordBatch]
Task = Callable[[Batches], Batches]
_AT_ONCE = 2_000
"""Tasks at most; of more parts, several are read by one."""
_TASK_BYTES = 4 << 20
"""Of files, below which a task of its own costs more than it gives."""


def read_items(
    spark: SparkSession, files: Sequence[InputFile], adapter: Adapter, settings: ParsingSettings
) -> DataFrame:
    """Parse files of items: `source_file` and the columns of `ITEM_SCHEMA`."""
    named = [(file.name, file) for file in files]
    return read_parts(spark, named, "source_file", ITEM_SCHEMA, lambda read: item_batches(read, adapter, settings))


def read_parts(
    spark: SparkSession, files: Sequence[tuple[str, InputFile]], column: str, schema: pa.Schema, parse: Parse
) -> DataFrame:
    """Read exactly these files, each part in a task, as rows of `schema`; `column` holds the name given with each file."""
    tasks, parsed = in_parts(spark, files, column, schema, parse)
    return tasks.mapInArrow(parsed, from_arrow_schema(pa.schema([(column, pa.string()), *schema])))


def in_parts(
    spark: SparkSession, files: Sequence[tuple[str, InputFile]], column: str, schema: pa.Schema, parse: Parse
) -> tuple[DataFrame, Task]:
    """Return the numbers of all parts, spread over tasks, and what a worker makes of such numbers."""
    parts: list[tuple[str, Split]] = [(name, part) for name, file in files for part in splits(file)]
    named = pa.schema([(column, pa.string()), *schema])

    def read(batches: Batches) -> Batches:
        for batch in batches:
            for place in batch.column("id").to_pylist():
                name, part = parts[place]
                for found in parse(records(part)):
                    names = pa.repeat(pa.scalar(name), found.num_rows)
                    yield pa.RecordBatch.from_arrays([names, *found.columns], schema=named)

    worth = 1 + sum(file.bytes for _, file in files) // _TASK_BYTES
    tasks = max(1, min(len(parts), worth, _AT_ONCE))
    return spark.range(0, len(parts), 1, tasks), read


class Night:
    """What a night keeps of parsed reviews, and what of them it sets aside.

    `parsed` has the columns of `parsed_reviews` and source_file. `withdrawn` and `withheld` (column review_id) are left out last:
    an older review of the same user and item, which such a one replaces, stays out with it.
    """

    def __init__(
        self, parsed: DataFrame, as_of: date, withheld: DataFrame | None = None, withdrawn: DataFrame | None = None
    ) -> None:
        self.parsed, self.withheld, self.withdrawn = parsed, withheld, withdrawn
        valid = parsed.where("reason IS NULL")
        self.due = valid.where(F.col("reviewed_at") < F.lit(as_of))
        slim = self.due.select(
            *PLACE, "review_id", "user_id", "item_id", "reviewed_at", "says", (F.col("text") != "").alias("has_words")
        )
        self.repeats = small(repeats(slim)).rows
        self._kept = self.due.join(self.repeats, list(PLACE), "left_anti")

    def rows(self) -> DataFrame:
        """Rows of `reviews` but for `spam`, with `KEYS`."""
        kept = self._kept
        for ids in (self.withdrawn, self.withheld):
            if ids is not None:
                kept = kept.join(ids, "review_id", "left_anti")
        return kept.select(
            "review_id",
            "user_id",
            "item_id",
            "rating",
            "title",
            "text",
            "language",
            "reviewed_at",
            "source_file",
            "source_line",
            *(name for name, _ in KEYS),
        )

    def left_out(self) -> dict[str, int]:
        """Reviews that are `withdrawn`, and of the others those that are `withheld`."""
        kept, found = self._kept, {}
        for name, ids in (("withdrawn", self.withdrawn), ("withheld", self.withheld)):
            found[name] = 0 if ids is None else kept.join(ids, "review_id", "left_semi").count()
            kept = kept if ids is None else kept.join(ids, "review_id", "left_anti")
        return found

    def rejected(self) -> DataFrame:
        """Rows of `rejected_reviews`."""
        refused = self.parsed.where("reason IS NOT NULL AND reason <> 'erased'")
        none = F.lit(None).cast("string")
        repeated = self.repeats.select(*PLACE, "reason", none.alias("field"), none.alias("detail"))
        return (
            refused.select(*PLACE, "reason", "field", "detail")
            .unionByName(repeated)
            .withColumn("input", F.lit("reviews"))
        )


def items_and_rejected(parsed: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Items, each field by the last record of the item that has it, and rows of `rejected_reviews`. One shuffle by item."""
    valid = parsed.where("reason IS NULL")
    place = F.struct(*PLACE)

    def last(name: str, there: Column) -> Column:
        # What holds nothing comes before what does, however late.
        return F.max_by(name, F.struct(there, place)).alias(name)

    fields = [last(name, F.col(name).isNotNull()) for name in ("title", "creator", "description")]
    items = valid.groupBy("item_id").agg(*fields, last("categories", F.size("categories") > 0))
    newest = Window.partitionBy("item_id").orderBy(*(F.desc(name) for name in PLACE))
    repeated = valid.select("item_id", *PLACE).withColumn("n", F.row_number().over(newest)).where("n > 1")
    none = F.lit(None).cast("string")
    aside = repeated.select(*PLACE, F.lit("repeated").alias("reason"), none.alias("field"), none.alias("detail"))
    refused = parsed.where("reason IS NOT NULL").select(*PLACE, "reason", "field", "detail")
    rejected = refused.unionByName(aside).withColumn("input", F.lit("items"))
    return items.withColumn("has_metadata", F.lit(True)), rejected


def with_reviewed_items(items: DataFrame, met: DataFrame) -> DataFrame:
    """Add a bare row for every item that only reviews or events name (column item_id) to the items with metadata."""
    bare = met.select("item_id").distinct().join(items.select("item_id"), "item_id", "left_anti")
    empty = bare.select(
        "item_id",
        F.lit(None).cast("string").alias("title"),
        F.lit(None).cast("string").alias("creator"),
        F.array().cast("array<string>").alias("categories"),
        F.lit(None).cast("string").alias("description"),
        F.lit(False).alias("has_metadata"),
    )
    return items.unionByName(empty)


def require_few_rejections(kind: str, lines: int, reasons: dict[str, int], max_share: float, hint: str = "") -> None:
    """Raise SourceError where more than `max_share` of the reviews or items are faulty."""
    setting, table = "reviews.max_rejected_share", "rejected_reviews"
    require_few_faults(kind, lines, reasons, setting, max_share, table, hint)
