"""Read another recommender's lists (`candidates.file`) into `candidates` and `rejected_candidates`; both empty without a file."""

import argparse
from pathlib import Path
from typing import Any

from jobs.runner import run
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.ingest.erased_people import erased_people
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import check_input
from persona_pipeline.sources.input_state import pseudonyms
from persona_pipeline.sources.table_files import check_paths
from persona_pipeline.sources.table_kinds import CANDIDATES

TABLES = ("candidates", "rejected_candidates")


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Read the run's files, reject unusable rows, and write both tables; fail when too many rows are rejected."""
    config = context.config.candidates
    used = context.config.user_item_topk.candidates
    if not config.file and used != "none":
        raise ConfigError(f"user_item_topk.candidates: {used} needs the lists of candidates.file, which names none")
    given = [Path(file["path"]) for file in check_input(context.row, ("candidates",))["candidates"]]
    if not given and not any(context.warehouse.dataset(table).count_rows() for table in _made(context)):
        return {"lines": 0}
    files = check_paths(given, CANDIDATES) if given else None

    from persona_pipeline.sources.candidates import parse_candidates, require_usable
    from persona_pipeline.sources.erased import without_erased
    from persona_pipeline.sources.table_rows import read_rows
    from persona_pipeline.spark.session import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    spark = session(context.config.spark, "candidates")
    tables = SparkWarehouse(spark, context.warehouse)
    if files is None:
        return {
            "lines": 0,
            "written": [tables.replace(table, tables.empty(table)).as_dict() for table in _made(context)],
        }
    users, items = tables.read("user_histories").select("user_id"), tables.read("items").select("item_id")
    user_name = pseudonyms(context.config.reviews)
    every = read_rows(spark, files, user_name)
    rows = without_erased(every, erased_people(context.warehouse, user_name))
    erased = every.count() - rows.count() if rows is not every else 0
    parsed = parse_candidates(rows, files, users, items, pseudonymous=user_name is not None)
    written = [tables.replace("rejected_candidates", parsed.rejected)]
    require_usable(parsed, config)
    written.append(tables.replace("candidates", parsed.rows))
    return {
        "lines": parsed.lines + erased,
        "erased": erased,
        "unknown_users": parsed.unknown_users,
        "unknown_items": parsed.unknown_items,
        "rejected": dict(sorted(parsed.reasons.items())),
        "written": [result.as_dict() for result in written],
    }


def _made(context: RunContext) -> list[str]:
    return [table for table in TABLES if context.warehouse.exists(table)]


if __name__ == "__main__":
    run("candidates", job)
