"""Rank items for every user by `user_vectors` and `persona_vectors`, and stage `user_item_topk` for the audit."""

import argparse
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.runner import run
from persona_pipeline.core.item_titles import title_sql
from persona_pipeline.encoder.item_embeddings import profile_model
from persona_pipeline.encoder.user_and_persona_vectors import encoder_of_run
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.runs.context import RunContext


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Score every user against every persona, or only changed users and items, and keep the top k with contributions."""
    from pyspark.sql import functions as F

    from persona_pipeline.score.eligible import EligibleItems, blocked_kinds, require_some
    from persona_pipeline.score.incremental import ranked_changes, reusable_ranking
    from persona_pipeline.score.ranking_inputs import RankingInputs
    from persona_pipeline.score.recommend import keep_unchanged, own_words, ranked_users, ranking_users, recommendations
    from persona_pipeline.spark.session import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    config = context.config.user_item_topk
    encoder = encoder_of_run(context.warehouse, context.encoder_id())
    blocked = blocked_kinds(context.warehouse)
    eligible = EligibleItems.of(context.warehouse, encoder.encoder_id, config, blocked)
    require_some(eligible, encoder.encoder_id)
    personas = eligible.personas
    weight = config.candidates_weight if config.candidates == "fuse" else 0.0
    precision = None if config.precision == "auto" else config.precision
    arguments = (config.k, config.block_bytes, config.shelf_bytes, weight, config.device, precision)
    ranking = eligible.ranked_by(RankingInputs.of(encoder, personas, *arguments), config)

    reads = context.warehouse.stored_bytes("user_vectors", "user_histories")
    spark = session(context.config.spark, "user_item_topk", reads)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "1000")  # a user carries its interactions' vectors
    tables = SparkWarehouse(spark, context.warehouse)
    users, histories = ranking_users(tables, encoder.encoder_id, config)
    profiles = tables.read("text_embeddings").where(F.col("base_model") == profile_model(encoder.base_model))
    before, why = reusable_ranking(tables, context.parent, context.config, encoder.encoder_id, eligible)
    figures: dict[str, Any] = {"ranked": f"everybody: {why}"}
    if before is None:
        ranked = ranked_users(users, histories, profiles, ranking)
    else:
        some = personas.filter(pc.is_in(personas["item_id"], pa.array(before.changed_items, pa.string())))
        part = eligible.ranked_by(RankingInputs.of(encoder, some, *arguments), config) if some.num_rows else None
        ranked, counts = ranked_changes(users, histories, profiles, ranking, before, part)
        figures = {"ranked": "changes", **counts}
    summaries = tables.read("item_summaries").select("item_id", "summary")
    title = F.expr(title_sql()).alias("item_title")
    titles = tables.read("items").join(summaries, "item_id", "left").select("item_id", title)
    own = own_words(tables.read("user_histories"), tables.read("review_aspects"), tables.read("items"))
    current = tables.read("item_personas").where("status = 'current'")
    rows = recommendations(ranked, current, titles, own, encoder.encoder_id, context.as_of, config.user_buckets)
    if context.parent:
        rows = keep_unchanged(
            rows, tables.read("user_item_topk", context.parent.versions["user_item_topk"]), ["user_id", "rank"]
        )
    result = SparkWarehouse(spark, staged_tables(context.warehouse)).replace("user_item_topk", rows)
    sizes = {"items": len(ranking.item_index.item_ids), "personas": personas.num_rows}
    return {**sizes, **figures, "candidate": result.as_dict()}


if __name__ == "__main__":
    run("user_item_topk", job)
