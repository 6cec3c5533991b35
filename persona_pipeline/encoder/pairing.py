"""Label liked interactions with a persona of the item, from `user_histories` and `item_personas` into `training_pairs` (Spark).

The label is the persona whose evidence quotes the user's review, else the persona an LLM chose (`persona_choices`),
else the persona whose text is nearest to the interaction's: of an event, which has no words, to an empty text. A persona
that rests on this review alone would leak the label and is masked; an interaction whose item has no other persona is no
training example.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import DoubleType, StringType

from persona_pipeline.core.interactions import liked_sql
from persona_pipeline.encoder.texts import render_interactions, render_personas

LABEL_SOURCES = ("evidence", "judge", "similarity")
"""Who may say which persona a user was, the most trusted first."""


def _render_personas(name: pa.Array, description: pa.Array, summary: pa.Array, rationale: pa.Array) -> pa.Array:
    return render_personas(name, description, summary, rationale)


def _render_interactions(text: pa.Array) -> pa.Array:
    return render_interactions(text)


def _row_dots(left: pa.Array, right: pa.Array) -> pa.Array:
    import numpy as np

    from persona_pipeline.embeddings.vectors import vectors_of

    return pa.array(np.einsum("nd,nd->n", vectors_of(left), vectors_of(right), dtype=np.float64))


# pyspark's stubs ask for the evaluation type that pyspark infers from the hints above.
_persona_text: Callable[..., Column] = arrow_udf(_render_personas, StringType())  # type: ignore[call-overload]
_interaction_text: Callable[..., Column] = arrow_udf(_render_interactions, StringType())  # type: ignore[call-overload]
_dot: Callable[..., Column] = arrow_udf(_row_dots, DoubleType())  # type: ignore[call-overload]


def training_pairs(
    histories: DataFrame,
    personas: DataFrame,
    summaries: DataFrame,
    reviews: DataFrame,
    choices: DataFrame,
    embeddings: DataFrame,
    min_liked_rating: float,
) -> DataFrame:
    """Build one row per liked interaction of a user who has others, with at least one unmasked persona.

    The target is taken out of the history and every other liked interaction stays, later ones too: they inform about
    the user as well. Without them NDCG@10 on Musical Instruments' validation fell from .120 to .108
    (benchmarks/ablations.py tries both).

    Beside the columns of the table, `labels` holds the label of every source, used or not: structs of label_source and
    persona_id, several of evidence where several personas quote the review, none where only one persona is unmasked.
    `choices` are rows of `persona_choices`; a choice of a retired or masked persona, or about another review, is
    ignored. `embeddings` holds text_hash and vector of one base model. Two shuffles by text hash, one by user and item.
    """
    targets = _targets(histories, min_liked_rating)
    current = personas.where("status = 'current' AND stance <> 'dislikes'")
    options = (
        targets.join(current.select("item_id", "persona_id", "position", "evidence"), "item_id")
        .withColumn("reviews", F.transform(F.filter("evidence", lambda e: e["kind"] == "review"), lambda e: e["ref"]))
        .withColumn("quotes_it", F.array_contains("reviews", F.col("interaction_id")))
        .withColumn("masked", F.array_distinct("reviews") == F.array("interaction_id"))
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
        targets.select("interaction_id")
        .join(reviews.select(F.col("review_id").alias("interaction_id"), "text"), "interaction_id", "left")
        .select("interaction_id", _hash(_interaction_text("text"))),
        embeddings,
        "interaction_vector",
    )
    judged = choices.select(
        "user_id", "item_id", F.col("review_id").alias("interaction_id"), "persona_id", F.lit(True).alias("chosen")
    )
    scored = (
        options.join(persona_vectors, "persona_id")
        .join(interaction_vectors, "interaction_id")
        .join(judged, ["user_id", "item_id", "interaction_id", "persona_id"], "left")
        .withColumn("similarity", _dot("interaction_vector", "persona_vector"))
        .withColumn("judged", F.coalesce("chosen", F.lit(False)))
    )
    pair = Window.partitionBy("user_id", "item_id")
    nearest = pair.orderBy("masked", F.desc("similarity"), "position")
    best = pair.orderBy("masked", F.desc("quotes_it"), F.desc("judged"), F.desc("similarity"), "position")
    masked = F.collect_list(F.when(F.col("masked"), F.col("persona_id"))).over(pair)
    return (
        scored.withColumn("masked_persona_ids", F.array_sort(masked))
        .withColumn("nearest", F.row_number().over(nearest) == 1)
        .withColumn("labels", _labels(pair))
        .withColumn("choice", F.row_number().over(best))
        .where("choice = 1 AND NOT masked")
        .select(
            "user_id",
            "item_id",
            "interaction_id",
            "persona_id",
            F.when(F.col("quotes_it"), "evidence")
            .when(F.col("judged"), "judge")
            .otherwise("similarity")
            .alias("label_source"),
            "labels",
            "masked_persona_ids",
            "reviewed_at",
            "weight",
            "history_interaction_ids",
            "history_place",
        )
    )


def label_counts(pairs: DataFrame) -> dict[str, Any]:
    """Count labels by source, and how often two sources agree, over the result of `training_pairs`; one pass.

    Returns `labels`, pairs by label source, and `agreement`, by two sources the number of `pairs` that both label,
    where there is a choice, and how many `agree`. Evidence that supports several personas agrees with each.
    """
    said = {source: _said_by(source) for source in LABEL_SOURCES}
    counts = [F.count_if(F.col("label_source") == source).alias(source) for source in LABEL_SOURCES]
    for one, other in combinations(LABEL_SOURCES, 2):
        both = (F.size(said[one]) > 0) & (F.size(said[other]) > 0)
        counts.append(F.count_if(both).alias(f"{one}_{other}"))
        counts.append(F.count_if(F.arrays_overlap(said[one], said[other])).alias(f"{one}_{other}_agree"))
    found = pairs.agg(*counts).collect()[0].asDict()
    return {
        "labels": {source: found[source] for source in LABEL_SOURCES if found[source]},
        "agreement": {
            f"{one}_{other}": {"pairs": found[f"{one}_{other}"], "agree": found[f"{one}_{other}_agree"]}
            for one, other in combinations(LABEL_SOURCES, 2)
        },
    }


def _said_by(source: str) -> Column:
    """The personas that one source labels a pair with."""
    return F.transform(F.filter("labels", lambda v: v["label_source"] == source), lambda v: v["persona_id"])


def _labels(pair: WindowSpec) -> Column:
    """The labels of every source for a pair, sorted; empty where only one persona is unmasked."""
    says = zip(LABEL_SOURCES, ("quotes_it", "judged", "nearest"), strict=True)
    votes = [
        F.when(~F.col("masked") & F.col(says_it), F.struct(F.lit(source).alias("label_source"), "persona_id"))
        for source, says_it in says
    ]
    every = F.array_sort(F.flatten(F.collect_list(F.array_compact(F.array(*votes))).over(pair)))
    open_ = F.count_if(~F.col("masked")).over(pair)
    return F.when(open_ > 1, every).otherwise(F.slice(every, 1, 0))


def _targets(histories: DataFrame, min_liked_rating: float) -> DataFrame:
    """Explode liked interactions, each with the user's other liked ones, newest first, and its rank among them."""
    liked = F.expr(f"filter(interactions, i -> {liked_sql(str(float(min_liked_rating)), 'i.')})")
    exploded = histories.select("user_id", liked.alias("liked")).select(
        "user_id", "liked", F.posexplode("liked").alias("age", "target")
    )
    return exploded.where(F.size("liked") > 1).select(
        "user_id",
        F.col("target.item_id").alias("item_id"),
        F.col("target.interaction_id").alias("interaction_id"),
        F.col("target.reviewed_at").alias("reviewed_at"),
        F.col("target.weight").alias("weight"),
        F.expr("array_remove(liked.interaction_id, target.interaction_id)").alias("history_interaction_ids"),
        F.col("age").alias("history_place"),
    )


def _hash(text: Column) -> Column:
    return F.substring(F.sha2(text, 256), 1, 32).alias("text_hash")


def _embedded(rows: DataFrame, embeddings: DataFrame, name: str) -> DataFrame:
    return rows.join(embeddings.select("text_hash", F.col("vector").alias(name)), "text_hash").drop("text_hash")
