"""Clean and de-duplicate the input files into `reviews` and `items`, unusable records into `rejected_reviews`."""

import argparse
from typing import Any

from jobs.runner import run
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import check_input
from persona_pipeline.sources.adapters import configured


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Parse files not parsed before, choose what the night keeps; fail when too much is refused."""
    if not context.row["source"]:
        raise PipelineError(f"run {context.run_id} was opened without any input; open one with --source and --reviews")
    source = configured(context.row["source"], context.config.reviews)
    files = check_input(context.row, ("reviews", "items", "withheld", "withdrawn", "eligibility"))

    from persona_pipeline.ingest.reviews_and_items import ingest
    from persona_pipeline.spark.session import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    reads = sum(row["bytes"] for row in files["reviews"])
    tables = SparkWarehouse(session(context.config.spark, "reviews", reads), context.warehouse)
    return ingest(tables, context.run_id, source, files, context.config, context.as_of)


if __name__ == "__main__":
    run("reviews", job)
