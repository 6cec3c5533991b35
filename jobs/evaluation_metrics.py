"""A backtest to `evaluation_metrics`: the nightly jobs on part of the reviews, scored against the rest."""

import argparse
from pathlib import Path
from typing import Any

from jobs.runner import Night, run


def options(parser: argparse.ArgumentParser) -> None:
    """Arguments of this job alone."""
    parser.add_argument("--source", required=True, help="adapter: amazon2018, jsonl or synthetic")
    parser.add_argument("--reviews", type=Path, required=True, help="file or folder of reviews")
    parser.add_argument("--items", type=Path, help="file or folder of item metadata")
    parser.add_argument("--split", default="leave-last-out", help="leave-last-out, or the first day of the test")
    parser.add_argument(
        "--cache", type=Path, help="warehouse whose text_embeddings and llm_calls are used and added to"
    )
    parser.add_argument("--no-baselines", dest="baselines", action="store_false", help="judge the pipeline alone")
    parser.add_argument("--seeds", type=int, default=1, help="runs of every model that draws at random")


def job(night: Night, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the backtest on the reviews before `as_of`; how it goes is shown on stderr."""
    from rich.console import Console

    from persona_pipeline.backtest import Request, run_backtest

    request = Request(
        night.warehouse.root,
        arguments.source,
        arguments.reviews,
        arguments.items,
        arguments.split,
        arguments.config,
        arguments.extractor,
        arguments.cache,
        arguments.baselines,
        arguments.seeds,
        night.as_of,
    )
    return run_backtest(request, Console(stderr=True, highlight=False))


if __name__ == "__main__":
    run("evaluation_metrics", job, options)
