"""Label liked interactions in `user_histories` with the persona of the item they match, into `training_pairs`."""

import argparse
from typing import Any

from jobs.runner import run
from persona_pipeline.model_registry.base_models import embedder_of_run
from persona_pipeline.runs.context import RunContext


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Label pairs in Spark and write the table; count labels by source."""
    from pyspark.sql import functions as F

    from persona_pipeline.encoder.pairing import label_counts, training_pairs
    from persona_pipeline.spark.session import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    reads = context.warehouse.stored_bytes("reviews", "text_embeddings")
    tables = SparkWarehouse(session(context.config.spark, "training_pairs", reads), context.warehouse)
    embedder = embedder_of_run(
        context.warehouse, context.overrides, context.as_of, context.parent, context.config.text_embeddings
    )
    pairs = training_pairs(
        tables.read("user_histories"),
        tables.read("item_personas"),
        tables.read("item_summaries").select("item_id", "summary"),
        tables.read("reviews"),
        tables.read("persona_choices"),
        tables.read("text_embeddings").where(F.col("base_model") == embedder.base_model),
        context.config.training_pairs.min_liked_rating,
    ).persist()
    counts = label_counts(pairs)
    result = tables.replace("training_pairs", pairs.drop("labels"))
    pairs.unpersist()
    return {**counts, "written": [result.as_dict()]}


if __name__ == "__main__":
    run("training_pairs", job)
