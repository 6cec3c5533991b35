"""Mark copy-paste spam among reviews (Spark): one text, or nearly one, by many users or by one user on many items.

Three patterns are marked, all by the words of the text alone (case, punctuation and white space make no difference):

- nearly the same text of LONG words or more by `spam_users` users, on whatever items;
- nearly the same text of LONG words or more by one user on `spam_items` items: the reviews of this user;
- the same text of SHORT words or more by `spam_users` users on one item who are a notable part of those who reviewed it.

Fewer words are said by many who never met ("great gift"), so they are never marked.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.sources.deduplication import small
from persona_pipeline.sources.near_duplicates import Words, band_keys, similarities, text_keys

SIMILAR = 0.85  # of the pairs of neighbouring words that one of two texts has, both do: one word in twenty-five differs
LONG, SHORT = 8, 4  # words
SHARE_OF_ITEM = 0.05  # of an item's reviews; a popular item has many who find the same five words
_CROWD = 3  # reviews in a band; where fewer meet, there are too few users for spam of theirs
_AT_ONCE = 500  # texts hashed together: their arrays, eight bytes a letter, stay in the processor's cache
_HOPS = 2  # near texts of near texts belong together, and no further: chains of likeness lead anywhere

_KEYED = "review_id string, user_id string, item_id string, words int, text_key long, bands array<long>"
_PAIR = "text_key long, near long"


def mark_spam(reviews: DataFrame, config: ReviewsConfig) -> DataFrame:
    """Add the nullable column `spam`: the smallest review_id among the marked reviews of one cluster.

    `reviews` has review_id, user_id, item_id and text. With `reviews.spam_users` 0 nothing is marked. Texts are compared
    with two of each bucket they fall in, never all with all, so that a text pasted 100,000 times costs 100,000 steps.
    """
    if config.spam_users == 0:
        return reviews.withColumn("spam", F.lit(None).cast("string"))
    keyed = reviews.select("review_id", "user_id", "item_id", "text").mapInArrow(_keyed, _KEYED).persist()
    long = keyed.where(F.col("words") >= LONG)
    ends = small(_crowded(long, min(_CROWD, config.spam_users, config.spam_items)))
    if ends.isEmpty():
        long = long.withColumn("cluster", F.col("text_key"))
    else:
        long = long.join(_near(keyed, reviews, ends), "text_key", "left")
        long = long.withColumn("cluster", F.coalesce("cluster", "text_key"))
    marked = (
        _by_users(long, config.spam_users)
        .unionByName(_by_items(long, config.spam_items))
        .unionByName(_on_one_item(keyed, config.spam_users))
        .groupBy("review_id")
        .agg(F.min("spam").alias("spam"))
    )
    return reviews.join(small(marked), "review_id", "left")


def _keyed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in chain.from_iterable(map(_slices, batches)):
        words = Words(batch.column("text"))
        bands = band_keys(words)
        offsets = pa.array(range(0, bands.size + 1, bands.shape[1]), pa.int32())
        yield pa.RecordBatch.from_arrays(
            [
                *(batch.column(name) for name in ("review_id", "user_id", "item_id")),
                pa.array(words.lengths, pa.int32()),
                pa.array(text_keys(words)),
                pa.ListArray.from_arrays(offsets, pa.array(bands.ravel())),
            ],
            names=["review_id", "user_id", "item_id", "words", "text_key", "bands"],
        )


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    yield from (batch.slice(at, _AT_ONCE) for at in range(0, batch.num_rows, _AT_ONCE))


def _crowded(long: DataFrame, crowd: int) -> DataFrame:
    """Return bands that `crowd` reviews or more and two texts fall in, with the smallest and the greatest key of these."""
    banded = long.select("text_key", F.explode("bands").alias("band"))
    ends = banded.groupBy("band").agg(
        F.min("text_key").alias("first"), F.max("text_key").alias("last"), F.count("*").alias("reviews")
    )
    return ends.where((F.col("first") < F.col("last")) & (F.col("reviews") >= crowd)).drop("reviews")


def _near(keyed: DataFrame, reviews: DataFrame, ends: DataFrame) -> DataFrame:
    """Return text_key and cluster of texts near another one: the smallest key within _HOPS verified pairs."""
    banded = keyed.where(F.col("words") >= LONG).select("text_key", F.explode("bands").alias("band"))
    found = banded.join(ends, "band").withColumn("near", F.explode(F.array("first", "last")))
    pairs = (
        found.where("text_key != near")
        .select(F.greatest("text_key", "near").alias("text_key"), F.least("text_key", "near").alias("near"))
        .distinct()
    )
    # The words themselves decide, not that a band is shared.
    sides = pairs.select(F.explode(F.array("text_key", "near")).alias("text_key")).distinct()
    texts = (
        keyed.join(sides, "text_key")
        .groupBy("text_key")
        .agg(F.min("review_id").alias("review_id"))
        .join(reviews.select("review_id", "text"), "review_id")
        .select("text_key", "text")
    )
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


def _on_one_item(keyed: DataFrame, users: int) -> DataFrame:
    said = keyed.where(F.col("words") >= SHORT)
    repeated = said.groupBy("item_id", "text_key").agg(
        F.count_distinct("user_id").alias("users"), F.min("review_id").alias("spam")
    )
    repeated = repeated.where(F.col("users") >= users)
    reviewed = keyed.where("words > 0").groupBy("item_id").agg(F.count("*").alias("reviews"))
    notable = repeated.join(reviewed, "item_id").where(F.col("users") >= SHARE_OF_ITEM * F.col("reviews"))
    return said.join(notable, ["item_id", "text_key"]).select("review_id", "spam")
