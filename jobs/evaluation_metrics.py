"""Run a backtest into `evaluation_metrics`: the nightly jobs on part of the reviews, scored against the rest."""

import argparse
import sys
from pathlib import Path
from typing import Any

from jobs.runner import end_with, execute
from jobs.runs import opened, options
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import close_failed
from persona_pipeline.warehouse import Warehouse


def _parsed() -> argparse.Namespace:
    """Parse the options of a run and those of a backtest."""
    parser = argparse.ArgumentParser(prog="python -m jobs.evaluation_metrics", description=__doc__)
    options(parser)
    parser.add_argument("--split", default="leave-last-out", help="leave-last-out, or the first day of the test")
    parser.add_argument(
        "--cache", type=Path, help="warehouse whose text_embeddings and llm_calls are used and added to"
    )
    parser.add_argument("--no-baselines", dest="baselines", action="store_false", help="judge the pipeline alone")
    parser.add_argument("--seeds", type=int, default=1, help="runs of every model that draws at random")
    return parser.parse_args(sys.argv[1:])


def job(context: RunContext, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the backtest on the reviews before `as_of`; progress is shown on stderr."""
    from rich.console import Console

    from persona_pipeline.backtest import BacktestRequest, run_backtest

    request = BacktestRequest(
        root=context.warehouse.root,
        source=arguments.source,
        reviews=arguments.reviews,
        items=arguments.items,
        interactions=arguments.interactions,
        split=arguments.split,
        config=arguments.config,
        extractor=arguments.extractor,
        cache=arguments.cache,
        baselines=arguments.baselines,
        seeds=arguments.seeds,
        as_of=context.as_of,
    )
    return run_backtest(request, Console(stderr=True, highlight=False))


def main() -> dict[str, Any]:
    """Open a run for the backtest and execute it; the nights it compares have runs in their own warehouses."""
    arguments = _parsed()
    arguments.run_id = opened(arguments)
    outcome = "failed"
    try:
        summary = execute("evaluation_metrics", job, arguments)
        outcome = "ended"
    finally:  # left open, it would stand in the way of its own retry
        close_failed(Warehouse(arguments.warehouse.resolve(), {"job": "evaluation_metrics"}), arguments.run_id, outcome)
    return summary


if __name__ == "__main__":
    end_with("evaluation_metrics", main)
