"""Read the file of events (`interactions.file`) into `interactions` and `rejected_interactions`; both empty without a file."""

import argparse
from pathlib import Path
from typing import Any

from jobs.runner import run
from persona_pipeline.ingest.erased_people import erased_people
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import check_input
from persona_pipeline.sources.adapters import of_interactions
from persona_pipeline.sources.files import InputFile
from persona_pipeline.sources.holdout_file import COLUMN, check_holdout
from persona_pipeline.sources.input_state import pseudonyms
from persona_pipeline.sources.shapes import recognise

TABLES = ("interactions", "rejected_interactions")


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Parse the files, set aside what cannot be used, and write both tables; fail when too much is refused."""
    config, reviews = context.config.interactions, context.config.reviews
    files = check_input(context.row, ("interactions", "withheld"))["interactions"]
    if not files and not any(context.warehouse.dataset(table).count_rows() for table in _made(context)):
        return {"lines": 0}

    from persona_pipeline.sources.event_reader import night_events, read_events, require_few_refused
    from persona_pipeline.sources.events import EventSettings
    from persona_pipeline.sources.parsing import ParsingSettings
    from persona_pipeline.spark.session import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    spark = session(context.config.spark, "interactions", sum(row["bytes"] for row in files))
    tables = SparkWarehouse(spark, context.warehouse)
    if not files:
        return {
            "lines": 0,
            "written": [tables.replace(table, tables.empty(table)).as_dict() for table in _made(context)],
        }
    adapter = of_interactions(context.row["source"], config)
    user_name = pseudonyms(reviews)
    erased = erased_people(context.warehouse, user_name)
    settings = EventSettings.of(config, ParsingSettings(reviews.max_characters, user_name, erased))
    listed = [InputFile(Path(row["path"]), row["name"], row["bytes"], recognise(Path(row["path"]))) for row in files]
    withheld = check_holdout(Path(reviews.withheld)) if reviews.withheld else None
    kept_back = spark.read.parquet(str(withheld)).select(COLUMN) if withheld else None
    parsed = read_events(spark, listed, adapter, settings).persist()
    night = night_events(parsed, context.as_of, kept_back)
    written = [tables.replace("rejected_interactions", night.rejected)]
    stored = tables.read("rejected_interactions").groupBy("reason").count().collect()
    reasons = {row["reason"]: row["count"] for row in stored}
    require_few_refused(night.lines, reasons, config.max_rejected_share)
    written.append(tables.replace("interactions", night.rows))
    parsed.unpersist()
    return {
        "lines": night.lines,
        "not_yet": night.not_yet,
        "withheld": night.withheld,
        "erased": night.erased,
        "rejected": dict(sorted(reasons.items())),
        "written": [result.as_dict() for result in written],
    }


def _made(context: RunContext) -> list[str]:
    return [table for table in TABLES if context.warehouse.exists(table)]


if __name__ == "__main__":
    run("interactions", job)
