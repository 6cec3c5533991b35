"""Deduplicate input lines (Spark): of a review's copies and edits one line stays, and each other says which it is.

Copies of a line, edits of a review and clashes of ids are three things. A copy says what another line says, under the same
id; the first stays, so that a folder that overlaps another changes nothing. An edit is an earlier state: of the same id, or of
the same user and item; the newest stays. Two reviews of other users or items under one id clash: the first stays.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

_LINE = ("source_file", "source_line")


def with_repeats(reviews: DataFrame) -> DataFrame:
    """Set `reason` of valid lines, whose reason is null, that are not kept: `copy`, `edited` or `duplicate_id`.

    `reviews` has columns review_id, user_id, item_id, rating, title, text, reviewed_at, source_file, source_line. Two
    shuffles: by review_id, and by user_id and item_id.
    """
    of_id = Window.partitionBy("review_id", F.col("reason").isNull())
    about, says = F.struct("user_id", "item_id"), F.xxhash64("rating", "title", "text", "reviewed_at")
    owner = F.first(about).over(of_id.orderBy(*_LINE))
    marked = reviews.withColumn("reason", _first("reason", (about != owner, "duplicate_id"))).withColumn("says", says)

    last = F.first("says").over(of_id.orderBy(*_newest()))
    of_content = Window.partitionBy("review_id", F.col("reason").isNull(), "says").orderBy(*_LINE)
    copies = F.row_number().over(of_content) > 1
    marked = marked.withColumn("reason", _first("reason", (F.col("says") != last, "edited"), (copies, "copy")))

    of_pair = Window.partitionBy("user_id", "item_id", F.col("reason").isNull()).orderBy(*_newest())
    earlier = F.row_number().over(of_pair) > 1
    return marked.withColumn("reason", _first("reason", (earlier, "edited"))).drop("says")


def repeated_item() -> Column:
    """`repeated` for all but the last line of an item, else null."""
    newest = Window.partitionBy("item_id", F.col("reason").isNull()).orderBy(
        F.desc("source_file"), F.desc("source_line")
    )
    return F.when(F.row_number().over(newest) > 1, F.lit("repeated"))


def _newest() -> list[Column]:
    return [F.desc("reviewed_at"), *(F.desc(name) for name in _LINE)]


def _first(reason: str, *further: tuple[Column, str]) -> Column:
    """A line's own reason, else the first of the further ones that holds."""
    return F.coalesce(reason, *(F.when(holds, F.lit(name)) for holds, name in further))
