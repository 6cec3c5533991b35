"""Select each item's evidence reviews from `reviews` and `items` into `item_reviews`, a bounded number per item.

Reviews with text are put in six strata, three classes of rating by the older and newer half (to the minute), and each stratum is
ranked by length in words. A stratum gets places in proportion to the square root of its size: the few critical
reviews of a loved item keep a voice, without a single one weighing as much as fifty others. What a review is worth in
its stratum depends on no other, so that a new one displaces few.

An item may have a large part of all reviews. Only a few short columns are sorted, first where they lie, so that no more
than the best of each stratum are brought together; texts follow for the chosen alone.
"""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from persona_pipeline.aggregate.ranked_lists import without_place

_REVIEW = ("review_id", "user_id", "rating", "reviewed_at", "title", "text")
_TALKATIVE = 120  # words; beyond this a longer review is no better evidence
_SIFTED = 60_000
"""Chosen reviews, of the items with the most, that every task knows: the rest of those items is left where it lies."""


def item_reviews(reviews: DataFrame, items: DataFrame, max_reviews: int, max_bytes: int) -> DataFrame:
    """Build one row per item; an item without reviews has empty evidence.

    Evidence is at most `max_reviews` reviews of `max_bytes` together (titles and texts as UTF-8, the first whatever its
    size). Reviews whose `spam` is not null are counted but are no evidence.
    """
    told = reviews.where("text <> ''")
    if "spam" in reviews.columns:
        told = told.where("spam IS NULL")
    counted = reviews.groupBy("item_id").agg(
        F.count("*").alias("review_count"),
        F.avg("rating").alias("mean_rating"),
        F.max("reviewed_at").alias("last_reviewed_at"),
    )
    return (
        items.select("item_id")
        .join(counted, "item_id", "left")
        .join(
            _with_texts(told, _chosen(_worth(told).localCheckpoint(), max_reviews, max_bytes), max_reviews),
            "item_id",
            "left",
        )
        .select(
            "item_id",
            F.coalesce("review_count", F.lit(0)).alias("review_count"),
            # Rounded: the mean of the same stars must not depend on the order Spark adds them in.
            F.round("mean_rating", 6).alias("mean_rating"),
            "last_reviewed_at",
            F.coalesce(without_place("ranked", _REVIEW), F.array()).alias("evidence"),
        )
    )


def _worth(told: DataFrame) -> DataFrame:
    """What decides about a review, without its text: some sixty bytes."""
    words = F.size(F.split("text", " "))
    return told.select(
        "item_id",
        "review_id",
        "reviewed_at",
        F.floor(F.unix_seconds("reviewed_at") / 60).alias("minute"),
        F.when(F.col("rating") <= 2, 0).when(F.col("rating") < 4, 1).otherwise(2).alias("rating_class"),
        F.least(words, F.lit(_TALKATIVE)).alias("words"),
        (F.octet_length("text") + F.coalesce(F.octet_length("title"), F.lit(0))).cast("long").alias("bytes"),
    )


def _chosen(worth: DataFrame, max_reviews: int, max_bytes: int) -> DataFrame:
    """One row per item: its largest stratum, `crowd`, and the chosen reviews' `usefulness` (1 for the best) by id."""
    newer = F.col("newer") == (F.col("minute") > F.col("last_older_minute"))
    in_strata = worth.join(_strata(worth), ["item_id", "rating_class"]).where(newer)
    best_first = Window.partitionBy("item_id", "rating_class", "newer").orderBy(
        F.desc("words"), F.desc("reviewed_at"), "review_id"
    )
    # Spark prunes to the best of each stratum before the shuffle, since nothing but the place is asked.
    best = in_strata.withColumn("place", F.row_number().over(best_first)).where(F.col("place") <= max_reviews)
    # Half a place off, as in Sainte-Laguë's method of seats: a stratum of one is not last in the queue.
    queue = Window.partitionBy("item_id").orderBy("turn", F.desc("words"), "review_id")
    return (
        best.withColumn("turn", (F.col("place") - 0.5) / F.sqrt("size"))
        .withColumn("usefulness", F.row_number().over(queue))
        .withColumn("bytes_so_far", F.sum("bytes").over(queue.rowsBetween(Window.unboundedPreceding, 0)))
        .where(F.col("usefulness") <= max_reviews)
        .where((F.col("usefulness") == 1) | (F.col("bytes_so_far") <= max_bytes))
        .groupBy("item_id")
        .agg(
            F.max("size").alias("crowd"),
            F.map_from_entries(F.collect_list(F.struct("review_id", "usefulness"))).alias("usefulness"),
        )
    )


def _strata(worth: DataFrame) -> DataFrame:
    """One row per stratum: its `size`, and the minute in which the item's older half ends.

    Found by counting per minute, narrow rows however many reviews there are; reviews of the one in the middle are all older.
    """
    item = Window.partitionBy("item_id")
    before = F.sum("n").over(item.orderBy("minute").rangeBetween(Window.unboundedPreceding, -1))
    minutes = worth.groupBy("item_id", "rating_class", "minute").agg(F.count("*").alias("n"))
    minutes = minutes.select("*", F.coalesce(before, F.lit(0)).alias("before"), F.sum("n").over(item).alias("total"))
    minutes = minutes.selectExpr("*", "before >= (total + 1) DIV 2 AS newer")
    ends = F.max(F.when(~F.col("newer"), F.col("minute"))).over(item)
    minutes = minutes.withColumn("last_older_minute", ends)
    return minutes.groupBy("item_id", "rating_class", "newer", "last_older_minute").agg(F.sum("n").alias("size"))


def _with_texts(told: DataFrame, chosen: DataFrame, max_reviews: int) -> DataFrame:
    """One row per item: its chosen reviews, most useful first, as `ranked`."""
    chosen = chosen.localCheckpoint()
    crowded = chosen.orderBy(F.desc("crowd"), "item_id").limit(max(1, _SIFTED // max_reviews))
    sifted = told.join(F.broadcast(crowded.select("item_id", F.col("usefulness").alias("known"))), "item_id", "left")
    sifted = sifted.where(F.col("known").isNull() | F.map_contains_key("known", F.col("review_id")))
    found = sifted.join(chosen, "item_id").withColumn("usefulness", F.try_element_at("usefulness", F.col("review_id")))
    ranked = F.sort_array(F.collect_list(F.struct("usefulness", *_REVIEW)))
    return found.where("usefulness IS NOT NULL").groupBy("item_id").agg(ranked.alias("ranked"))
