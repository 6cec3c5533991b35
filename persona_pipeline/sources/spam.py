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
from persona_pipeline.sources.near_duplicates import ALIKE, BINS, LONG, SHORT, similarities

SIMILAR = 0.85  # of the pairs of neighbouring words that one of two texts has, both do: one word in twenty-five differs
SHARE_OF_ITEM = 0.05  # of an item's reviews; a popular item has many who find the same five words
_CROWD = 3  # reviews in a band; where fewer meet, there are too few users for spam of theirs
_HOPS = 2  # near texts of near texts belong together, and no further: chains of likeness lead anywhere

_LOW_BITS = 0x5555555555555555
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
    ends = small(_crowded(reviews, min(_CROWD, least)))
    if ends.number:
        said = said.join(small(_near(reviews, ends.rows)).rows, "text_key", "left")
    said = said.withColumn("cluster", F.coalesce("cluster", "text_key") if ends.number else F.col("text_key"))
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


def _crowded(reviews: DataFrame, crowd: int) -> DataFrame:
    """Return bands that `crowd` reviews or more and two texts fall in, with the smallest and the greatest key of these."""
    banded = reviews.select("text_key", F.explode("bands").alias("band"))
    ends = banded.groupBy("band").agg(
        F.min("text_key").alias("first"), F.max("text_key").alias("last"), F.count("*").alias("reviews")
    )
    return ends.where((F.col("first") < F.col("last")) & (F.col("reviews") >= crowd)).drop("reviews")


def _near(reviews: DataFrame, ends: DataFrame) -> DataFrame:
    """Return text_key and cluster of texts near another one: the smallest key within _HOPS verified pairs."""
    banded = reviews.select("text_key", F.explode("bands").alias("band"))
    found = banded.join(ends, "band").withColumn("near", F.explode(F.array("first", "last")))
    pairs = (
        found.where("text_key != near")
        .select(F.greatest("text_key", "near").alias("text_key"), F.least("text_key", "near").alias("near"))
        .distinct()
    )
    known = reviews.where("sketch IS NOT NULL").groupBy("text_key").agg(F.max("sketch").alias("sketch"))
    pairs = pairs.join(known, "text_key").join(known.toDF("near", "near_sketch"), "near")
    differ = F.col("sketch").bitwiseXOR(F.col("near_sketch"))
    differ = F.bit_count(differ.bitwiseOR(F.shiftrightunsigned(differ, 1)).bitwiseAND(F.lit(_LOW_BITS)))
    pairs = small(pairs.where(differ <= BINS - ALIKE).select("text_key", "near")).rows
    # The words themselves decide, not that a band is shared.
    sides = small(pairs.select(F.explode(F.array("text_key", "near")).alias("text_key")).distinct()).rows
    texts = reviews.join(sides, "text_key", "left_semi").groupBy("text_key").agg(F.min("text").alias("text"))
    compared = pairs.join(texts, "text_key").join(
        texts.select(F.col("text_key").alias("near"), F.col("text").alias("near_text")), "near"
    )
    verified = compared.select("text_key", "near", "text", "near_text").mapInArrow(_similar, _PAIR)
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
    return clusters


def _similar(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        near = similarities(batch.column("text"), batch.column("near_text")) >= SIMILAR
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
