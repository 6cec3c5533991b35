"""Clean and de-duplicate the input files into `reviews` and `items`, unusable lines into `rejected_reviews`."""

import argparse
from pathlib import Path
from typing import Any

from jobs.runner import run
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import check_input
from persona_pipeline.sources.adapters import adapter
from persona_pipeline.sources.holdout_file import COLUMN, check_holdout
from persona_pipeline.warehouse.erasures import digester, erased_digests


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Clean, de-duplicate, and reject unusable lines; fail when too many are rejected."""
    if not context.row["source"]:
        raise PipelineError(f"run {context.run_id} was opened without any input; open one with --source and --reviews")
    source, config = adapter(context.row["source"]), context.config.reviews
    files = check_input(context.row, ("reviews", "items", "withheld"))
    review_files, item_files = files["reviews"], files["items"]
    withheld = check_holdout(Path(config.withheld)) if config.withheld else None

    from persona_pipeline.sources import reader
    from persona_pipeline.sources.erased import without_erased
    from persona_pipeline.spark.session import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    spark = session(context.config.spark, "reviews")
    tables = SparkWarehouse(spark, context.warehouse)
    every = reader.read_lines(spark, review_files).persist()
    known = erased_digests(context.warehouse)
    lines = without_erased(every, digester(context.warehouse), known, source.reviews["user_id"]) if known else every
    erased = every.count() - lines.persist().count() if known else 0
    kept_back = spark.read.parquet(str(withheld)).select(COLUMN) if withheld else None
    parsed = [reader.parse_reviews(lines, source, config, context.as_of, kept_back)]
    if item_files:
        parsed.append(reader.parse_items(reader.read_lines(spark, item_files).persist(), source, config))
    rejected = parsed[0].rejected
    for more in parsed[1:]:
        rejected = rejected.unionByName(more.rejected)
    counts = {
        (row["input"], row["reason"]): row["count"] for row in rejected.groupBy("input", "reason").count().collect()
    }
    written = [tables.replace("rejected_reviews", rejected)]
    for kind, of_kind in zip(("reviews", "items"), parsed, strict=False):
        reasons = {reason: n for (of, reason), n in counts.items() if of == kind}
        reader.require_few_rejections(kind, of_kind.lines, reasons, config.max_rejected_share)
    written.append(tables.replace("reviews", parsed[0].rows))
    described = parsed[1].rows if item_files else tables.empty("items")
    written.append(tables.replace("items", reader.with_reviewed_items(described, tables.read("reviews"))))
    return {
        "lines": parsed[0].lines + erased,
        "item_lines": parsed[1].lines if item_files else 0,
        "not_yet": parsed[0].not_yet,
        "withheld": parsed[0].withheld,
        "erased": erased,
        "rejected": {f"{kind}.{reason}": n for (kind, reason), n in sorted(counts.items())},
        "written": [result.as_dict() for result in written],
    }


if __name__ == "__main__":
    run("reviews", job)
