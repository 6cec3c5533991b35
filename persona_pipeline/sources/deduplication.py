"""Deduplicate input lines (Spark): the reason why a valid line is not kept beside another of the same review or item."""

from pyspark.sql import Column, Window
from pyspark.sql import functions as F


def repeated_review() -> Column:
    """`repeated` for all but a user's newest review of an item, `duplicate_id` for a review_id used before, else null.

    Over columns reason (null for a valid line), user_id, item_id, review_id, reviewed_at, source_file, source_line.
    """
    good = F.col("reason").isNull()
    newest = Window.partitionBy("user_id", "item_id", good).orderBy(
        F.desc("reviewed_at"), F.desc("source_file"), F.desc("source_line")
    )
    first = Window.partitionBy("review_id", good).orderBy("source_file", "source_line")
    return F.when(F.row_number().over(newest) > 1, F.lit("repeated")).when(
        F.row_number().over(first) > 1, F.lit("duplicate_id")
    )


def repeated_item() -> Column:
    """`repeated` for all but the last line of an item, else null."""
    newest = Window.partitionBy("item_id", F.col("reason").isNull()).orderBy(
        F.desc("source_file"), F.desc("source_line")
    )
    return F.when(F.row_number().over(newest) > 1, F.lit("repeated"))
