"""Nights in this process: the jobs one after the other, on the session's Spark."""

import argparse
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

from jobs import ORDER
from jobs.runner import execute


def run_night(
    warehouse: Path, as_of: date, reviews: Path, items: Path | None, config: Path, jobs: tuple[str, ...] = ORDER
) -> dict[str, dict[str, Any]]:
    """Summaries by job."""
    summaries = {}
    for job in jobs:
        arguments = argparse.Namespace(
            warehouse=warehouse,
            as_of=as_of.isoformat(),
            config=str(config),
            extractor=None,
            engine=True,
            source="jsonl",
            reviews=reviews,
            items=items,
        )
        summaries[job] = execute(job, import_module(f"jobs.{job}").job, arguments)
    return summaries
