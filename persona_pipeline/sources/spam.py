"""Mark copy-paste spam among reviews (Spark): one text, or nearly one, by many users or by one user on many items.

Three patterns are marked, all by the words of the text alone (case, punctuation and white space make no difference):

- nearly the same text of LONG words or more by `spam_users` users, on whatever items;
- nearly the same text of LONG words or more by one user on `spam_items` items: the reviews of this user;
- the same text of SHORT words or more by `spam_users` users on one item who are a notable part of those who reviewed it.

Fewer words are said by many who never met ("great gift"), so they are never marked.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.sources.deduplication import small
from persona_pipeline.sources.near_duplicates import LONG, SHORT, meetings, shingle_sets, similarities

SIMILAR = 0.85  # of the pairs of neighbouring words that one of two texts has, both do: one word in twenty-five differs
SHARE_OF_ITEM = 0.05  # of an item's reviews; a popular item has many who find the same five words
_CROWD = 3  # reviews in a band; where fewer meet, there are too few users for spam of theirs
_HOPS = 2  # near texts of near texts belong together, and no further: chains of likeness lead anywhere

_PAIR = "text_key long, near long"


def mark_spam(reviews: DataFrame, config: ReviewsConfig) -> DataFrame:
    """Add the nullable column `spam`: the smallest review_id among the marked reviews of one cluster.

    `reviews` has review_id, user_id, item_id, text and `KEYS`; it is computed several times, few columns at once. With
    `reviews.spam_users` 0 nothing is marked. Texts are compared with two of each bucket they fall in, never all with all, so
    that a text pasted 100,000 times costs 100,000 steps. Keys are counted for all reviews, O(n); the rest is of the suspects.
    """
    nothing = reviews.withColumn("spam", F.lit(None).cast("string"))
    if config.spam_users == 0:
        return nothing
    said = reviews.where(F.col("words") >= SHORT)
    least = min(config.spam_users, config.spam_items)
    near = _near(reviews, min(_CROWD, least))
    if near is not None:
        said = said.join(near, "text_key", "left")
    said = said.withColumn("cluster", F.col("text_key") if near is None else F.coalesce("cluster", "text_key"))
    many = small(said.groupBy("cluster").count().where(F.col("count") >= least).select("cluster"))
    if not many.number:
        return nothing
    # All patterns are of a cluster that many reviews are in.
    short = ("review_id", "user_id", "item_id", "words", "text_key", "cluster")
    suspects = small(said.join(many.rows, "cluster", "left_semi").select(*short)).rows
    long = suspects.where(F.col("words") >= LONG)
    marked = (
        _by_users(long, config.spam_users)
        .unionByName(_by_items(long, config.spam_items))
        .unionByName(_on_one_item(suspects, reviews, config.spam_users))
        .groupBy("review_id")
        .agg(F.min("spam").alias("spam"))
    )
    return reviews.join(small(marked).rows, "review_id", "left")


def _near(reviews: DataFrame, crowd: int) -> DataFrame | None:
    """Return text_key and cluster of texts near another one: the smallest key within _HOPS verified pairs. None if there are none.

    Of texts in a band that `crowd` reviews or more are in, each is compared with the smallest and the greatest key there.
    """
    banded = reviews.where("bands IS NOT NULL").select("text_key", "sketch", F.explode("bands").alias("band"))

    def met(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from meetings(batches, crowd)

    pairs = small(banded.repartition("band").mapInArrow(met, _PAIR).distinct())
    if not pairs.number:
        return None
    # The words themselves decide, not that a band is shared.
    sides = small(pairs.rows.select(F.explode(F.array("text_key", "near")).alias("text_key")).distinct()).rows
    texts = reviews.join(sides, "text_key", "left_semi").groupBy("text_key").agg(F.min("text").alias("text"))
    sets = texts.mapInArrow(_sets, "text_key long, shingles array<int>").localCheckpoint()
    compared = pairs.rows.join(sets, "text_key").join(sets.toDF("near", "near_shingles"), "near")
    verified = compared.select("text_key", "near", "shingles", "near_shingles").mapInArrow(_similar, _PAIR)
    linked = F.array(F.array("text_key", "near"), F.array("near", "text_key"), F.array("near", "near"))
    links = (
        verified.select(F.explode(linked).alias("link"))
        .select(F.col("link")[0].alias("text_key"), F.col("link")[1].alias("near"))
        .distinct()
        .localCheckpoint()
    )
    clusters = links.groupBy("text_key").agg(F.least("text_key", F.min("near")).alias("cluster"))
    for _ in range(_HOPS - 1):
        known = clusters.withColumnRenamed("text_key", "near")
        clusters = links.join(known, "near").groupBy("text_key").agg(F.min("cluster").alias("cluster"))
    return small(clusters).rows


def _sets(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        sets = shingle_sets(batch.column("text"))
        yield pa.RecordBatch.from_arrays([batch.column("text_key"), sets], names=["text_key", "shingles"])


def _similar(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        near = similarities(batch.column("shingles"), batch.column("near_shingles")) >= SIMILAR
        yield batch.select(["text_key", "near"]).filter(pa.array(near))


def _by_users(long: DataFrame, users: int) -> DataFrame:
    clusters = long.groupBy("cluster").agg(F.count_distinct("user_id").alias("users"), F.min("review_id").alias("spam"))
    return long.join(clusters.where(F.col("users") >= users), "cluster").select("review_id", "spam")


def _by_items(long: DataFrame, items: int) -> DataFrame:
    pasted = long.groupBy("cluster", "user_id").agg(
        F.count_distinct("item_id").alias("items"), F.min("review_id").alias("spam")
    )
    return long.join(pasted.where(F.col("items") >= items), ["cluster", "user_id"]).select("review_id", "spam")


def _on_one_item(said: DataFrame, reviews: DataFrame, users: int) -> DataFrame:
    repeated = said.groupBy("item_id", "text_key").agg(
        F.count_distinct("user_id").alias("users"), F.min("review_id").alias("spam")
    )
    repeated = small(repeated.where(F.col("users") >= users)).rows
    reviewed = reviews.where("words > 0").join(repeated.select("item_id").distinct(), "item_id", "left_semi")
    reviewed = reviewed.groupBy("item_id").agg(F.count("*").alias("reviews"))
    notable = repeated.join(reviewed, "item_id").where(F.col("users") >= SHARE_OF_ITEM * F.col("reviews"))
    return said.join(notable, ["item_id", "text_key"]).select("review_id", "spam")
