"""Aggregate `reviews` and `items` into `item_reviews`: bounded evidence per item."""

import argparse
from typing import Any

from jobs.runner import run
from persona_pipeline.runs.context import RunContext


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Aggregate evidence in Spark and write the table."""
    from persona_pipeline.aggregate import item_reviews
    from persona_pipeline.spark.session import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    reads = context.warehouse.stored_bytes("reviews")
    tables = SparkWarehouse(session(context.config.spark, "item_reviews", reads), context.warehouse)
    config = context.config.item_reviews
    rows = item_reviews(tables.read("reviews"), tables.read("items"), config.max_reviews, config.max_bytes)
    return {"written": [tables.replace("item_reviews", rows).as_dict()]}


if __name__ == "__main__":
    run("item_reviews", job)
