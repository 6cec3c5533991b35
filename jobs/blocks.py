"""Read what users do not want to see (`eligibility.blocks`) into `blocks`; empty without a file."""

import argparse
from pathlib import Path
from typing import Any

from jobs.runner import run
from persona_pipeline.ingest.erased_people import erased_people
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import check_input
from persona_pipeline.sources.input_state import pseudonyms
from persona_pipeline.sources.table_files import check_paths
from persona_pipeline.sources.table_kinds import BLOCKS


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Read the run's files and write the table; fail for a row that cannot be understood."""
    files = [Path(file["path"]) for file in check_input(context.row, ("blocks",))["blocks"]]
    there = context.warehouse.exists("blocks")
    if not files and not (there and context.warehouse.dataset("blocks").count_rows()):
        return {"lines": 0}
    checked = check_paths(files, BLOCKS) if files else None

    from persona_pipeline.sources.blocks import parse_blocks, without_items
    from persona_pipeline.spark.session import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    spark = session(context.config.spark, "blocks")
    tables = SparkWarehouse(spark, context.warehouse)
    if checked is None:
        return {"lines": 0, "written": [tables.replace("blocks", tables.empty("blocks")).as_dict()]}
    user_name = pseudonyms(context.config.reviews)
    rows = parse_blocks(spark, checked, user_name, erased_people(context.warehouse, user_name)).persist()
    return {
        "lines": rows.count(),
        "users": rows.select("user_id").distinct().count(),
        "without_items": without_items(rows, tables.read("items")),
        "written": [tables.replace("blocks", rows).as_dict()],
    }


if __name__ == "__main__":
    run("blocks", job)
