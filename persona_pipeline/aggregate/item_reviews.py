"""Select each item's evidence reviews from `reviews` and `items` into `item_reviews`, a bounded number per item.

Reviews with text are put in six strata, three classes of rating by the older and newer half, and each stratum is
ranked by length in words. A stratum gets places in proportion to the square root of its size: the few critical
reviews of a loved item keep a voice, without a single one weighing as much as fifty others.
"""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

_TALKATIVE = 120  # words; beyond this a longer review is no better evidence


def item_reviews(reviews: DataFrame, items: DataFrame, max_reviews: int) -> DataFrame:
    """Build one row per item; an item without reviews has empty evidence. One shuffle by item, O(n log n)."""
    item = Window.partitionBy("item_id")
    stratum = Window.partitionBy("item_id", "rating_class", "newer")
    told = (
        reviews.where("text <> ''")
        .withColumn("rating_class", F.when(F.col("rating") <= 2, 0).when(F.col("rating") < 4, 1).otherwise(2))
        .withColumn("newer", F.ntile(2).over(item.orderBy("reviewed_at", "review_id")))
        .withColumn("words", F.least(F.size(F.split("text", " ")), F.lit(_TALKATIVE)))
        .withColumn("place", F.row_number().over(stratum.orderBy(F.desc("words"), F.desc("reviewed_at"), "review_id")))
        # Half a place off, as in Sainte-Laguë's method of seats: a stratum of one is not last in the queue.
        .withColumn("turn", (F.col("place") - 0.5) / F.sqrt(F.count("*").over(stratum)))
        .withColumn("usefulness", F.row_number().over(item.orderBy("turn", F.desc("words"), "review_id")))
        .where(F.col("usefulness") <= max_reviews)
    )
    evidence = told.groupBy("item_id").agg(
        F.array_sort(
            F.collect_list(F.struct("usefulness", "review_id", "user_id", "rating", "reviewed_at", "title", "text"))
        ).alias("ranked")
    )
    counted = reviews.groupBy("item_id").agg(
        F.count("*").alias("review_count"),
        F.avg("rating").alias("mean_rating"),
        F.max("reviewed_at").alias("last_reviewed_at"),
    )
    return (
        items.select("item_id")
        .join(counted, "item_id", "left")
        .join(evidence, "item_id", "left")
        .select(
            "item_id",
            F.coalesce("review_count", F.lit(0)).alias("review_count"),
            # Rounded: the mean of the same stars must not depend on the order Spark adds them in.
            F.round("mean_rating", 6).alias("mean_rating"),
            "last_reviewed_at",
            F.coalesce(F.transform("ranked", lambda r: r.dropFields("usefulness")), F.array()).alias("evidence"),
        )
    )
