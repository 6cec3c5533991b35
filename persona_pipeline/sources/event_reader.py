"""Read files of events by Spark, each part of a file in one task, into rows of `interactions` and `rejected_interactions`.

Every record ends in exactly one place: a row, a rejection with a typed reason, or the count of events not yet due, withheld
for a backtest, or of users who were erased.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from persona_pipeline.sources.adapters import Adapter
from persona_pipeline.sources.deduplication import PLACE, small
from persona_pipeline.sources.events import EVENT_SCHEMA, EventSettings, event_batches
from persona_pipeline.sources.files import InputFile
from persona_pipeline.sources.reader import read_parts
from persona_pipeline.sources.reasons import require_few_faults

_KEPT = ("interaction_id", "user_id", "item_id", "kind", "weight", "occurred_at", "source_file", "source_line")


@dataclass(frozen=True, slots=True)
class NightEvents:
    """What a night keeps of parsed events, what of them it sets aside, and counts of records that are in neither."""

    rows: DataFrame
    rejected: DataFrame
    lines: int
    not_yet: int
    withheld: int
    erased: int


def read_events(
    spark: SparkSession, files: Sequence[InputFile], adapter: Adapter, settings: EventSettings
) -> DataFrame:
    """Parse files of events: `source_file` and the columns of `EVENT_SCHEMA`."""
    named = [(file.name, file) for file in files]
    return read_parts(spark, named, "source_file", EVENT_SCHEMA, lambda read: event_batches(read, adapter, settings))


def night_events(parsed: DataFrame, as_of: date, withheld: DataFrame | None = None) -> NightEvents:
    """Choose the events of before `as_of`, one an id. `parsed` should be persisted: it is scanned several times.

    `withheld` (column review_id, which holds ids of events too) is left out last.
    """
    valid, due = F.col("reason").isNull(), F.col("occurred_at") < F.lit(as_of)
    counted = parsed.agg(
        F.count("*").alias("lines"),
        F.count_if(valid & ~due).alias("not_yet"),
        F.count_if(F.col("reason") == "erased").alias("erased"),
    ).collect()[0]
    happened = parsed.where(valid & due)
    repeats = small(_repeats(happened)).rows
    kept = happened.join(repeats, list(PLACE), "left_anti")
    left_out = 0
    if withheld is not None:
        ids = withheld.select(F.col("review_id").alias("interaction_id"))
        left_out = kept.join(ids, "interaction_id", "left_semi").count()
        kept = kept.join(ids, "interaction_id", "left_anti")
    none = F.lit(None).cast("string")
    refused = parsed.where("reason IS NOT NULL AND reason <> 'erased'").select(*PLACE, "reason", "field", "detail")
    aside = repeats.select(*PLACE, "reason", none.alias("field"), none.alias("detail"))
    return NightEvents(
        kept.select(*_KEPT), refused.unionByName(aside), counted.lines, counted.not_yet, left_out, counted.erased
    )


def require_few_refused(lines: int, reasons: dict[str, int], max_share: float) -> None:
    """Raise SourceError where more than `max_share` of the events are faulty."""
    hint = (
        " Say in interactions.weights what each kind weighs, or in interactions.default_weight what all others do."
        if "unknown_kind" in reasons
        else ""
    )
    setting, table = "interactions.max_rejected_share", "rejected_interactions"
    require_few_faults("interactions", lines, reasons, setting, max_share, table, hint)


def _repeats(events: DataFrame) -> DataFrame:
    """Events that are not kept of those with one id: `PLACE` and the reason.

    Of another user's or item's under the id of an earlier line: `duplicate_id`. Of the same user and item the newest stays,
    the first line that says it, and others are a `copy` of it or `edited`. Only ids that occur more than once are sorted.
    """
    more = events.groupBy("interaction_id").count().where("count > 1").select("interaction_id")
    several = events.join(small(more).rows, "interaction_id", "left_semi")
    of_id = Window.partitionBy("interaction_id")
    about, says = F.struct("user_id", "item_id"), F.struct("kind", "weight", "occurred_at")
    marked = several.withColumn("strange", F.first(about).over(of_id.orderBy(*PLACE)) != about)
    newest = Window.partitionBy("interaction_id", "strange").orderBy(
        F.desc("occurred_at"), F.desc("source_file"), F.desc("source_line"), F.desc("part")
    )
    again = Window.partitionBy("interaction_id", "strange", says).orderBy(*PLACE)
    reason = (
        F.when(F.col("strange"), "duplicate_id")
        .when(F.first(says).over(newest) != says, "edited")
        .when(F.row_number().over(again) > 1, "copy")
    )
    return marked.withColumn("reason", reason).where("reason IS NOT NULL").select(*PLACE, "reason")
