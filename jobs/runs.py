"""Open a run, a row of `runs`: configuration, input files, parent release and code version, resolved once for all its jobs."""

import argparse
import sys
from pathlib import Path
from typing import Any

from jobs.runner import end_with, execute
from persona_pipeline.config import load_config, parse_as_of
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import Input, open_run
from persona_pipeline.sources.adapters import ADAPTERS
from persona_pipeline.sources.folders import list_files


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options that define a run: warehouse, date, configuration, input."""
    parser.add_argument("--warehouse", type=Path, required=True, help="folder of the Delta tables")
    parser.add_argument("--as-of", required=True, help="UTC date; reviews before it count")
    parser.add_argument("--config", default="local", help="profile (local, gpu) or YAML file")
    parser.add_argument("--extractor", help="overrides extraction.extractor")
    parser.add_argument("--source", required=True, help=f"adapter: {', '.join(sorted(ADAPTERS))}")
    parser.add_argument("--reviews", type=Path, help="file or folder of reviews; optional beside events")
    parser.add_argument("--items", type=Path, help="file or folder of item metadata")
    parser.add_argument("--interactions", type=Path, help="file or folder of events; overrides interactions.file")


def opened(arguments: argparse.Namespace) -> str:
    """Open the run that the arguments describe, and return its id."""
    overrides: dict[str, Any] = {"extraction": {"extractor": arguments.extractor}} if arguments.extractor else {}
    if arguments.interactions:
        overrides["interactions"] = {"file": str(arguments.interactions.resolve())}
    config = load_config(arguments.config, overrides)
    if not (arguments.reviews or config.interactions.file):
        raise ConfigError("nothing to read: give --reviews, a file or folder of reviews, or --interactions, of events")
    given = Input(arguments.source, arguments.reviews, arguments.items)
    return open_run(arguments.warehouse.resolve(), parse_as_of(arguments.as_of), config, given)


def job(context: RunContext, arguments: argparse.Namespace) -> dict[str, Any]:
    """Summarise the opened run for the task record, files of its folders that are not read included."""
    row, events = context.row, context.config.interactions.file
    given = {"reviews": arguments.reviews, "items": arguments.items, "interactions": Path(events) if events else None}
    listings = [list_files(path, kind) for kind, path in given.items() if path]
    return {
        "made_from": row["made_from"],
        "code": row["code"],
        "input_files": len(row["input_files"]),
        "hidden_files": sum(listing.hidden for listing in listings),
        "other_files": sum(listing.other for listing in listings),
    }


def main() -> dict[str, Any]:
    """Open a run and record the task."""
    parser = argparse.ArgumentParser(prog="python -m jobs.runs", description=__doc__)
    options(parser)
    arguments = parser.parse_args(sys.argv[1:])
    arguments.run_id = opened(arguments)
    return execute("runs", job, arguments)


if __name__ == "__main__":
    end_with("runs", main)
