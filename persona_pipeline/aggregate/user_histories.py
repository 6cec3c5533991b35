"""Aggregate `reviews` and `interactions` into `user_histories`: what each user met recently, newest first.

What stands for a user and an item, a review or an event, is `core.interactions`'. Ties in time are broken by input order
(file, line), the later line counting as the later interaction.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from persona_pipeline.aggregate.ranked_lists import without_place
from persona_pipeline.core.interactions import NEWEST_FIRST, met_sql

_KEPT = ("interaction_id", "review_id", "item_id", "kind", "rating", "weight")


def met(reviews: DataFrame, interactions: DataFrame) -> DataFrame:
    """Select one row per user and item, columns as in `met_sql`. One shuffle of the events, one of both by user and item.

    Without events nothing is shuffled.
    """
    sql = met_sql("{reviews}", "{interactions}")
    return reviews.sparkSession.sql(sql, reviews=reviews, interactions=interactions)


def user_histories(rows: DataFrame, length: int, seen_weight: float) -> DataFrame:
    """Build one row per user with the last `length` interactions, from rows of `met`. One shuffle by user, O(n log n).

    An event whose absolute weight is below `seen_weight` leaves its item recommendable.
    """
    ranked = rows.withColumn("recency", F.expr(f"row_number() OVER (PARTITION BY user_id ORDER BY {NEWEST_FIRST})"))
    recent = F.when(F.col("recency") <= length, F.struct("recency", *_KEPT, F.col("occurred_at").alias("reviewed_at")))
    seen = F.when(F.col("review_id").isNotNull() | (F.abs("weight") >= seen_weight), F.col("item_id"))
    return (
        ranked.groupBy("user_id")
        .agg(
            F.count("*").alias("interaction_count"),
            F.sort_array(F.collect_list(recent)).alias("ranked"),  # collect_list leaves the nulls out
            F.sort_array(F.collect_set(seen)).alias("reviewed_item_ids"),
        )
        .select(
            "user_id",
            "interaction_count",
            without_place("ranked", (*_KEPT, "reviewed_at")).alias("interactions"),
            "reviewed_item_ids",
        )
    )
