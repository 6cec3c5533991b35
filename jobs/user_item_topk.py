"""Vectors to a candidate of `user_item_topk`, written beside the published table and audited before it replaces it."""

import argparse
from typing import Any

from jobs.runner import Night, run
from persona_pipeline.encoder.profiles import profile_model
from persona_pipeline.encoder.vectors import tonights_encoder
from persona_pipeline.publish.candidates import candidates
from persona_pipeline.text_embeddings import vectors_of


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Score every user against every persona and keep the best items with their reasons."""
    from pyspark.sql import functions as F

    from persona_pipeline.score.rank import Ranking
    from persona_pipeline.score.recommend import keep_unchanged, ranked_users, recommendations
    from persona_pipeline.score.shelf import Shelf
    from persona_pipeline.spark import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    config = night.config.user_item_topk
    encoder = tonights_encoder(night.warehouse, night.encoder_id())
    personas = night.warehouse.query(
        "SELECT * FROM persona_vectors WHERE encoder_id = $id ORDER BY item_id, persona_id",
        ["persona_vectors"],
        {"id": encoder.encoder_id},
    )
    items = personas["item_id"].to_numpy(zero_copy_only=False).astype(str)
    names = sorted(set(items.tolist()))
    popularity = dict(zip(names, encoder.popularity_shares(names).tolist(), strict=True))
    fusion = encoder.config
    shelf = Shelf.build(items, vectors_of(personas["vector"]), popularity, fusion.temperature, fusion.aggregation)
    persona_ids = personas["persona_id"].to_numpy(zero_copy_only=False).astype(str)
    prior = encoder.prior_onto(shelf.item_ids)
    ranking = Ranking(shelf, persona_ids, encoder, prior, config.k, config.block_bytes)

    spark = session(night.config.spark, "user_item_topk")
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "1000")  # a user carries its interactions' vectors
    tables = SparkWarehouse(spark, night.warehouse)
    histories = tables.read("user_histories")
    if not config.exclude_reviewed:
        histories = histories.withColumn("reviewed_item_ids", F.array().cast("array<string>"))
    profiles = tables.read("text_embeddings").where(F.col("base_model") == profile_model(encoder.base_model))
    users = tables.read("user_vectors").where(F.col("encoder_id") == encoder.encoder_id)
    ranked = ranked_users(users, histories, profiles, ranking, config.shelf_bytes)
    summaries = tables.read("item_summaries").select("item_id", "summary")
    title = F.coalesce("title", F.substring_index(F.when(F.col("summary") != "", F.col("summary")), ". ", 1))
    titles = tables.read("items").join(summaries, "item_id", "left").select("item_id", title.alias("item_title"))
    rows = recommendations(
        ranked, tables.read("item_personas"), titles, encoder.encoder_id, night.as_of, config.user_buckets
    )
    if night.parent:
        rows = keep_unchanged(
            rows, tables.read("user_item_topk", night.parent.versions["user_item_topk"]), ["user_id", "rank"]
        )
    result = SparkWarehouse(spark, candidates(night.warehouse)).replace("user_item_topk", rows)
    return {"items": len(shelf.item_ids), "personas": len(persona_ids), "candidate": result.as_dict()}


if __name__ == "__main__":
    run("user_item_topk", job)
