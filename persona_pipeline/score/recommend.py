"""Compute the rows of `user_item_topk` (Spark): stream users through tasks against a broadcast item index.

Memory per task: a block of the item index (4 bytes x personas x d, at most `shelf_bytes`), the kernel's working memory
and one batch of users. Driver: the item index once, and once more in blocks where there are several.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import reduce

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from persona_pipeline.config import UserItemTopkConfig
from persona_pipeline.core.contribution_kinds import ContributionKind
from persona_pipeline.score import explanations as words
from persona_pipeline.score.capped_blocks import ranked_under_caps
from persona_pipeline.score.contributions import RANKED_FIELDS, rank_users
from persona_pipeline.score.item_groups import SEPARATOR
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.warehouse.spark_tables import SparkWarehouse

# Kind of the shares that together are the largest; of a user's own interactions and an item's other personas it is one.
_SHARES = "aggregate(filter(contributions, c -> c.kind IN ({})), 0D, (so_far, c) -> so_far + c.share)"
_KINDS = {
    reason: _SHARES.format(", ".join(f"'{kind}'" for kind in ContributionKind if kind.reason_kind is reason))
    for reason in sorted({kind.reason_kind for kind in ContributionKind})
}
_LARGEST = "array_max(array({})).kind".format(
    ", ".join(f"struct({share} AS share, '{kind}' AS kind)" for kind, share in _KINDS.items())
)
# The user's own item that says most for this one, of those of which the user says what this one's persona says.
_SAME_SAID = """get(flatten(transform(
    filter(contributions, c -> c.kind = 'interaction' AND c.share > 0),
    c -> filter(own, o -> o.review_id = c.review_id AND array_contains(o.topics, topic)))), 0).sentence"""


def ranked_users(users: DataFrame, histories: DataFrame, profiles: DataFrame, ranking: RankingInputs) -> DataFrame:
    """Rank items for users; returns the columns of RANKED_FIELDS.

    Args:
        users: rows of `user_vectors` of one encoder.
        histories: rows of `user_histories`; their reviewed items are left out. Pass empty lists to keep them. A column
            candidate_item_ids names the only items to rank, null: all; candidate_ranks holds lists to fuse;
            blocked_groups names groups of items to leave out.
        profiles: text_hash and vector of the item embeddings by the encoder's base model.
        ranking: inputs shared by all tasks. Where the item index exceeds `shelf_bytes`, users are ranked against each block of
            items, and each user's top k of all blocks are merged, which gives the same rows.
    """
    interactions = (
        users.select("user_id", F.explode("interactions").alias("i"))
        .select("user_id", "i.*")
        .join(profiles.select(F.col("text_hash").alias("profile_hash"), "vector"), "profile_hash")
        .groupBy("user_id")
        # Sorted, so that sums over a user's interactions do not depend on how the shuffle delivered them.
        .agg(F.array_sort(F.collect_list(F.struct("review_id", "item_id", "weight", "vector"))).alias("interactions"))
    )
    inputs = interactions.join(histories.select("user_id", *limit_columns(histories)), "user_id")
    if len(ranking.item_index.spans(ranking.shelf_bytes)) < 2:
        return _ranked(inputs, ranking).drop("exact_score")
    if ranking.capped:
        return ranked_under_caps(inputs, ranking, _merged).drop("exact_score")
    return _merged(inputs.persist(StorageLevel.DISK_ONLY), ranking).drop("exact_score")  # read once per block


def _merged(inputs: DataFrame, ranking: RankingInputs) -> DataFrame:
    """Rank users against each block of items, and merge; returns columns of RANKED_FIELDS and `exact_score`."""
    # One block at a time is copied and handed to Spark, which keeps broadcasts in files.
    partial = reduce(DataFrame.unionByName, (_ranked(inputs, block) for block in ranking.blocks()))
    of_user = Window.partitionBy("user_id")
    chosen = F.row_number().over(of_user.orderBy(F.desc("exact_score"), "item_id")) <= ranking.k
    rank = F.row_number().over(of_user.orderBy(F.desc("score"), "item_id"))
    return partial.withColumn("chosen", chosen).where("chosen").withColumn("rank", rank).drop("chosen")


def _ranked(inputs: DataFrame, ranking: RankingInputs) -> DataFrame:
    """Rank users against a broadcast item index; returns columns of RANKED_FIELDS and `exact_score`."""
    shared = inputs.sparkSession.sparkContext.broadcast(ranking)

    def rank(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield from rank_users(shared.value, pa.Table.from_batches([batch])).to_batches()

    return inputs.mapInArrow(rank, f"{RANKED_FIELDS}, exact_score double")


def limit_columns(histories: DataFrame) -> list[str]:
    """Columns of the histories that restrict a user's recommendable items or hold another recommender's list."""
    names = ("reviewed_item_ids", "blocked_groups", "candidate_item_ids", "candidate_ranks")
    return [name for name in names if name in histories.columns]


def ranking_users(
    tables: SparkWarehouse, encoder_id: str, config: UserItemTopkConfig, versions: Mapping[str, int] | None = None
) -> tuple[DataFrame, DataFrame]:
    """Load `user_vectors` and `user_histories` of one encoder, at the given table versions or the newest.

    Adds what to leave out, reviewed or blocked, and another recommender's lists where the configuration uses them, as columns.
    """
    vectors, histories = (tables.read(t, versions[t] if versions else None) for t in ("user_vectors", "user_histories"))
    if not config.exclude_reviewed:
        histories = histories.withColumn("reviewed_item_ids", F.array().cast("array<string>"))
    histories = _less_blocked(histories, _released(tables, "blocks", versions))
    if config.candidates != "none":
        lists = _released(tables, "candidates", versions)
        only = F.array_sort(F.collect_list("item_id")).alias("candidate_item_ids")
        fused = F.array_sort(F.collect_list(F.struct("item_id", "rank"))).alias("candidate_ranks")
        brought = lists.groupBy("user_id").agg(only if config.candidates == "only" else fused)
        histories = histories.join(brought, "user_id", "left")
    return vectors.where(F.col("encoder_id") == encoder_id), histories


def _released(tables: SparkWarehouse, table: str, versions: Mapping[str, int] | None) -> DataFrame:
    """Read a table that a release made before there was such a table has no version of: it is empty there."""
    if versions is None:
        return tables.read(table)
    return tables.read(table, versions[table]) if table in versions else tables.empty(table)


def _less_blocked(histories: DataFrame, blocks: DataFrame) -> DataFrame:
    """Add blocked items to the items to leave out, and blocked groups as a column, by their names in `ItemGroups`."""
    item = F.col("kind") == "item"
    group = F.concat_ws(SEPARATOR, "kind", "value")
    of_user = blocks.groupBy("user_id").agg(
        F.array_sort(F.collect_list(F.when(item, F.col("value")))).alias("blocked_item_ids"),
        F.array_sort(F.collect_list(F.when(~item, group))).alias("blocked_groups"),
    )
    nothing = F.array().cast("array<string>")
    return (
        histories.join(of_user, "user_id", "left")
        .withColumn("reviewed_item_ids", F.array_union("reviewed_item_ids", F.coalesce("blocked_item_ids", nothing)))
        .withColumn("blocked_groups", F.coalesce("blocked_groups", nothing))
        .drop("blocked_item_ids")
    )


def own_words(histories: DataFrame, aspects: DataFrame, items: DataFrame) -> DataFrame:
    """Collect the user's own titled items with the topics praised in their reviews: user_id, and `own`.

    `own` holds structs of review_id, sentence and topics; `topics` are the topics the review likes, in the terms of
    `item_personas.topic`. One shuffle by review, one by user.
    """
    said = (
        aspects.select("review_id", F.explode("evidence").alias("e"))
        .where("e.stance = 'likes' AND e.topic IS NOT NULL")
        .groupBy("review_id")
        .agg(F.array_sort(F.collect_set("e.topic")).alias("topics"))
    )
    of_ones_own = F.udf(words.of_ones_own, "string", useArrow=False)
    titled = items.where("trim(title) <> ''").select("item_id", of_ones_own("title").alias("sentence"))
    return (
        histories.select("user_id", F.explode("interactions").alias("i"))
        .select("user_id", "i.review_id", "i.item_id")
        .join(said, "review_id")
        .join(titled, "item_id")
        .groupBy("user_id")
        .agg(F.array_sort(F.collect_list(F.struct("review_id", "sentence", "topics"))).alias("own"))
    )


def recommendations(
    ranked: DataFrame,
    personas: DataFrame,
    titles: DataFrame,
    own: DataFrame,
    encoder_id: str,
    as_of: date,
    buckets: int,
) -> DataFrame:
    """Assemble rows of `user_item_topk`, with this run's date as `changed_as_of`.

    `titles` holds item_id and item_title; `own` is the result of `own_words`.
    """
    # In Python, once per persona and item: what a reader explains online is put in the same words.
    quoted, opening = (F.udf(part, "string", useArrow=False) for part in (words.quoted, words.opening))
    personas = personas.withColumn("quotes", quoted("persona_source", "stance", F.slice("evidence", 1, words.QUOTES)))
    told = personas.select(
        "persona_id",
        "topic",
        "quotes",
        opening("persona_source", "preference_rationale", "quotes").alias("opening"),
        F.col("name").alias("persona_name"),
        F.slice("evidence", 1, words.QUOTES).alias("evidence"),
        F.when(F.col("persona_source") == "metadata", "metadata_persona")
        .otherwise("persona")
        .alias("recommendation_source"),
    )
    rests_on = F.create_map(*(F.lit(word) for pair in words.RESTS_ON.items() for word in pair))
    because = F.when(F.col("opening") != "", F.col("opening")).otherwise(F.element_at(rests_on, F.expr(_LARGEST)))
    parts = (because, F.col("quotes"), F.expr(_SAME_SAID))
    whole = F.concat_ws(" ", *(F.nullif(part, F.lit("")) for part in parts))
    return (
        # Spark sees whether they are small: sent to every task without being asked they would have to pass the driver.
        ranked.join(told, "persona_id")
        .join(titles, "item_id", "left")
        .join(own, "user_id", "left")
        .select(
            "user_id",
            "rank",
            "item_id",
            "item_title",
            "score",
            "persona_id",
            "persona_name",
            F.coalesce(F.nullif(whole, F.lit("")), F.lit(words.NOTHING)).alias("explanation"),
            "evidence",
            "contributions",
            "recommendation_source",
            F.lit(encoder_id).alias("encoder_id"),
            F.lit(as_of).alias("changed_as_of"),
            F.pmod(F.crc32(F.encode("user_id", "utf-8")), F.lit(buckets)).cast("int").alias("user_bucket"),
        )
    )


def keep_unchanged(rows: DataFrame, parent: DataFrame, key: list[str]) -> DataFrame:
    """Keep `changed_as_of` of the parent release for rows in which no other column differs."""
    content = [name for name in rows.columns if name != "changed_as_of"]
    before = parent.select(*key, F.struct(*content).alias("before"), F.col("changed_as_of").alias("changed_before"))
    unchanged = F.struct(*content).eqNullSafe(F.col("before"))
    return rows.join(before, key, "left").select(
        *content, F.when(unchanged, F.col("changed_before")).otherwise(F.col("changed_as_of")).alias("changed_as_of")
    )
