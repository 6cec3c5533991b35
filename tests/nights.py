"""Nights in this process: the jobs one after the other, on the session's Spark."""

import argparse
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

from jobs.runner import execute

JOBS = (
    "reviews",
    "item_reviews",
    "user_histories",
    "review_aspects",
    "item_summaries",
    "item_personas",
    "text_embeddings",
    "training_pairs",
    "encoders",
    "persona_vectors",
    "user_vectors",
    "user_item_topk",
    "default_topk",
    "releases",
    "report",
)


def run_night(
    warehouse: Path, as_of: date, reviews: Path, items: Path | None, config: Path, jobs: tuple[str, ...] = JOBS
) -> dict[str, dict[str, Any]]:
    """Summaries by job."""
    summaries = {}
    for job in jobs:
        arguments = argparse.Namespace(
            warehouse=warehouse,
            as_of=as_of.isoformat(),
            config=str(config),
            extractor=None,
            source="jsonl",
            reviews=reviews,
            items=items,
        )
        summaries[job] = execute(job, import_module(f"jobs.{job}").job, arguments)
    return summaries
