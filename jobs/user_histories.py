"""Aggregate `reviews` and `interactions` into `user_histories`: what each user met recently."""

import argparse
from typing import Any

from jobs.runner import run
from persona_pipeline.runs.context import RunContext


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Aggregate histories in Spark and write the table."""
    from persona_pipeline.aggregate import met, user_histories
    from persona_pipeline.spark.session import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    reads = context.warehouse.stored_bytes("reviews", "interactions")
    tables = SparkWarehouse(session(context.config.spark, "user_histories", reads), context.warehouse)
    config = context.config
    rows = met(tables.read("reviews"), tables.read("interactions"))
    rows = user_histories(rows, config.user_histories.length, config.interactions.seen_weight)
    return {"written": [tables.replace("user_histories", rows).as_dict()]}


if __name__ == "__main__":
    run("user_histories", job)
