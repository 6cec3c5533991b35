"""Nights in this process: the jobs of a run one after the other, on the session's Spark."""

import argparse
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

from jobs import ORDER
from jobs.runner import execute
from persona_pipeline.config import load_config
from persona_pipeline.runs.opening import Input, close_failed, open_run
from persona_pipeline.warehouse import Warehouse


def run_night(
    warehouse: Path,
    as_of: date,
    reviews: Path,
    items: Path | None,
    config: Path,
    jobs: tuple[str, ...] = ORDER,
    run_id: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Summaries by job; in a run of its own, or in one that goes on."""
    given = Input("jsonl", reviews, items) if "reviews" in jobs else Input()
    run_id = run_id or open_run(warehouse, as_of, load_config(config), given)
    summaries = {}
    for job in jobs:
        arguments = argparse.Namespace(warehouse=warehouse, run_id=run_id, engine=True)
        summaries[job] = execute(job, import_module(f"jobs.{job}").job, arguments)
    close_failed(Warehouse(warehouse), run_id, "ended")
    return summaries
