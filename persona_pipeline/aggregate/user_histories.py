"""Aggregate `reviews` into `user_histories`: the recent interactions of each user, newest first.

Ties in time are broken by input order (file, line), the later line counting as the later interaction.
"""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def user_histories(reviews: DataFrame, length: int) -> DataFrame:
    """Build one row per user with the last `length` interactions. One shuffle by user, O(n log n)."""
    newest_first = Window.partitionBy("user_id").orderBy(
        F.desc("reviewed_at"), F.desc("source_file"), F.desc("source_line")
    )
    ranked = reviews.withColumn("recency", F.row_number().over(newest_first))
    recent = F.when(F.col("recency") <= length, F.struct("recency", "review_id", "item_id", "rating", "reviewed_at"))
    return (
        ranked.groupBy("user_id")
        .agg(
            F.count("*").alias("interaction_count"),
            F.array_sort(F.collect_list(recent)).alias("ranked"),  # collect_list leaves the nulls out
            F.array_sort(F.collect_set("item_id")).alias("reviewed_item_ids"),
        )
        .select(
            "user_id",
            "interaction_count",
            F.transform("ranked", lambda r: r.dropFields("recency")).alias("interactions"),
            "reviewed_item_ids",
        )
    )
