"""Deduplicate records of reviews (Spark): of a review's copies and edits one stays, and each other says which it is.

Copies of a record, edits of a review and clashes of ids are three things. A copy says what another record says, under the same
id; the first stays, so that a folder that overlaps another changes nothing. An edit is an earlier state: of the same id, whose
newest stays, or of the same user and item, of which the newest with words stays. Two reviews of other users or items under
one id clash: the first stays.
"""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Observation, Window
from pyspark.sql import functions as F

PLACE = ("source_file", "source_line", "part")
"""Columns that say where a record stands; files and lines count in their order."""
_BROADCAST = 2_000_000  # rows of a few dozen bytes; as many are joined without moving the other side


def repeats(records: DataFrame) -> DataFrame:
    """Records that are not kept, of valid ones: `PLACE` and the `reason` (`copy`, `edited` or `duplicate_id`).

    `records` has review_id, user_id, item_id, reviewed_at, says, has_words and `PLACE`. Only ids, and users with items, that
    occur more than once are sorted: one aggregation of hashes, O(n), and windows over what it finds.
    """
    ids = F.array(F.xxhash64("review_id"), F.xxhash64("user_id", "item_id", F.lit("pair")))
    more = small(records.select(F.explode(ids).alias("id")).groupBy("id").count().where("count > 1").select("id"))
    if not more.number:
        return records.select(*PLACE, F.lit("copy").alias("reason")).limit(0)
    suspects = records.withColumn("_ids", ids)
    for place, name in enumerate(("_id", "_pair")):
        met = more.rows.select(F.col("id").alias(name), F.lit(True).alias(f"{name}_more"))
        suspects = suspects.join(met, F.col("_ids")[place] == F.col(name), "left")
    suspects = suspects.where("_id_more OR _pair_more").drop("_ids", "_id", "_pair", "_id_more", "_pair_more")
    found = with_repeats(suspects.withColumn("reason", F.lit(None).cast("string")))
    return found.where("reason IS NOT NULL").select(*PLACE, "reason")


class Small(NamedTuple):
    """Rows to join with, and how many there are."""

    rows: DataFrame
    number: int


def small(rows: DataFrame) -> Small:
    """Rows to join with, computed now, and sent to every worker where they are few enough.

    A checkpoint rather than persisted: Spark describes what is persisted with all that it is made of, twice, whenever
    something is made of it, and descriptions of some megabytes took longer than the work.
    """
    counted = Observation()
    kept = rows.observe(counted, F.count(F.lit(1)).alias("rows")).localCheckpoint()
    found = counted.get["rows"]
    return Small(F.broadcast(kept) if found <= _BROADCAST else kept, found)


def with_repeats(reviews: DataFrame) -> DataFrame:
    """Set `reason` of valid records, whose reason is null, that are not kept: `copy`, `edited` or `duplicate_id`.

    Two shuffles: by review_id, and by user_id and item_id.
    """
    of_id = Window.partitionBy("review_id", F.col("reason").isNull())
    about = F.struct("user_id", "item_id")
    owner = F.first(about).over(of_id.orderBy(*PLACE))
    marked = reviews.withColumn("reason", _first("reason", (about != owner, "duplicate_id")))

    last = F.first("says").over(of_id.orderBy(*_newest()))
    of_content = Window.partitionBy("review_id", F.col("reason").isNull(), "says").orderBy(*PLACE)
    copies = F.row_number().over(of_content) > 1
    marked = marked.withColumn("reason", _first("reason", (F.col("says") != last, "edited"), (copies, "copy")))

    of_pair = Window.partitionBy("user_id", "item_id", F.col("reason").isNull())
    earlier = F.row_number().over(of_pair.orderBy(F.desc("has_words"), *_newest())) > 1
    return marked.withColumn("reason", _first("reason", (earlier, "edited")))


def _newest() -> list[Column]:
    return [F.desc("reviewed_at"), *(F.desc(name) for name in PLACE)]


def _first(reason: str, *further: tuple[Column, str]) -> Column:
    """A record's own reason, else the first of the further ones that holds."""
    return F.coalesce(reason, *(F.when(holds, F.lit(name)) for holds, name in further))
