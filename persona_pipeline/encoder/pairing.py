"""Histories and personas to `training_pairs` (Spark): a label for who the user was when they liked an item.

The persona whose evidence quotes the user's review, else the one whose text is nearest to the interaction's. A persona
that rests on this one review would give the answer away and is masked; a pair left without any persona is no lesson.
"""

from collections.abc import Callable

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import DoubleType, StringType

from persona_pipeline.encoder.texts import ASPECT_COLUMNS, render_interactions, render_personas


def _render_personas(name: pa.Array, description: pa.Array, summary: pa.Array, rationale: pa.Array) -> pa.Array:
    return render_personas(name, description, summary, rationale)


def _render_interactions(summary: pa.Array, a: pa.Array, b: pa.Array, c: pa.Array, d: pa.Array) -> pa.Array:
    return render_interactions(summary, a, b, c, d)


def _row_dots(left: pa.Array, right: pa.Array) -> pa.Array:
    import numpy as np

    from persona_pipeline.text_embeddings import vectors_of

    return pa.array(np.einsum("nd,nd->n", vectors_of(left), vectors_of(right), dtype=np.float64))


# pyspark's stubs ask for the evaluation type that pyspark infers from the hints above.
_persona_text: Callable[..., Column] = arrow_udf(_render_personas, StringType())  # type: ignore[call-overload]
_interaction_text: Callable[..., Column] = arrow_udf(_render_interactions, StringType())  # type: ignore[call-overload]
_dot: Callable[..., Column] = arrow_udf(_row_dots, DoubleType())  # type: ignore[call-overload]


def training_pairs(
    histories: DataFrame,
    personas: DataFrame,
    summaries: DataFrame,
    aspects: DataFrame,
    embeddings: DataFrame,
    min_liked_rating: float,
) -> DataFrame:
    """One row per liked interaction that has liked interactions before it and a persona left to choose.

    `embeddings` holds text_hash and vector of one base model. Two shuffles by text hash, one by user and item.
    """
    targets = _targets(histories, min_liked_rating)
    current = personas.where("status = 'current'")
    choices = (
        targets.join(current.select("item_id", "persona_id", "position", "evidence"), "item_id")
        .withColumn("reviews", F.transform(F.filter("evidence", lambda e: e["kind"] == "review"), lambda e: e["ref"]))
        .withColumn("quotes_it", F.array_contains("reviews", F.col("review_id")))
        .withColumn("masked", F.array_distinct("reviews") == F.array("review_id"))
        .drop("evidence", "reviews")
    )
    persona_vectors = _embedded(
        current.join(summaries, "item_id", "left").select(
            "persona_id", _hash(_persona_text("name", "description", "summary", "preference_rationale"))
        ),
        embeddings,
        "persona_vector",
    )
    interaction_vectors = _embedded(
        targets.select("review_id", "item_id")
        .join(summaries, "item_id", "left")
        .join(aspects.select("review_id", *ASPECT_COLUMNS), "review_id", "left")
        .select("review_id", _hash(_interaction_text("summary", *ASPECT_COLUMNS))),
        embeddings,
        "interaction_vector",
    )
    scored = (
        choices.join(persona_vectors, "persona_id")
        .join(interaction_vectors, "review_id")
        .withColumn("similarity", _dot("interaction_vector", "persona_vector"))
    )
    pair = Window.partitionBy("user_id", "item_id")
    best = pair.orderBy("masked", F.desc("quotes_it"), F.desc("similarity"), "position")
    masked = F.collect_list(F.when(F.col("masked"), F.col("persona_id"))).over(pair)
    return (
        scored.withColumn("masked_persona_ids", F.array_sort(masked))
        .withColumn("choice", F.row_number().over(best))
        .where("choice = 1 AND NOT masked")
        .select(
            "user_id",
            "item_id",
            "review_id",
            "persona_id",
            F.when(F.col("quotes_it"), "evidence").otherwise("similarity").alias("label_source"),
            "masked_persona_ids",
            "history_cutoff",
            "history_review_ids",
        )
    )


def _targets(histories: DataFrame, min_liked_rating: float) -> DataFrame:
    """Liked interactions with the liked ones before them, newest first."""
    liked = F.filter("interactions", lambda i: i["rating"] >= min_liked_rating)
    exploded = histories.select("user_id", liked.alias("liked")).select(
        "user_id", "liked", F.posexplode("liked").alias("age", "target")
    )
    return exploded.where(F.size("liked") > F.col("age") + 1).select(
        "user_id",
        F.col("target.item_id").alias("item_id"),
        F.col("target.review_id").alias("review_id"),
        F.col("target.reviewed_at").alias("history_cutoff"),
        F.expr("transform(slice(liked, age + 2, size(liked)), i -> i.review_id)").alias("history_review_ids"),
    )


def _hash(text: Column) -> Column:
    return F.substring(F.sha2(text, 256), 1, 32).alias("text_hash")


def _embedded(rows: DataFrame, embeddings: DataFrame, name: str) -> DataFrame:
    return rows.join(embeddings.select("text_hash", F.col("vector").alias(name)), "text_hash").drop("text_hash")
