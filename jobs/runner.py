"""Run a job's function with the parts every job shares: arguments, its run's context, error handling, the task record.

The last line of stdout is the job's JSON summary (Airflow keeps it as the task's XCom), the first says it started. A
PipelineError is printed without a traceback and ends the job with exit code 65, or 75 where trying again may help.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from persona_pipeline.core.errors import PipelineError, TransientError
from persona_pipeline.core.progress import log_events
from persona_pipeline.keyed import scratch_folder
from persona_pipeline.runs.attempt import attempt
from persona_pipeline.runs.context import RunContext, context_of
from persona_pipeline.runs.order import TRY_AGAIN
from persona_pipeline.warehouse import bounded_memory

FAULT = 65  # EX_DATAERR: Airflow does not retry a job that ends with it; with TRY_AGAIN it does
Job = Callable[[RunContext, argparse.Namespace], dict[str, Any]]
Options = Callable[[argparse.ArgumentParser], None]


def run(name: str, job: Job, options: Options | None = None) -> None:
    """Run a job from the command line and exit."""
    end_with(name, lambda: execute(name, job, parse(name, options, sys.argv[1:])))


def parse(name: str, options: Options | None, arguments: list[str]) -> argparse.Namespace:
    """Parse a job's command-line arguments."""
    parser = argparse.ArgumentParser(prog=f"python -m jobs.{name}", description=sys.modules["__main__"].__doc__)
    parser.add_argument("--warehouse", type=Path, required=True, help="folder of the Delta tables")
    parser.add_argument("--run-id", required=True, help="as `python -m jobs.runs` returned it")
    if options:
        options(parser)
    return parser.parse_args(arguments)


def end_with(name: str, work: Callable[[], dict[str, Any]]) -> None:
    """Do the work of a process, print its outcome as JSON, and exit."""
    log_events(name)
    print(json.dumps({"job": name, "event": "started"}), flush=True)
    try:
        summary = work()
    except PipelineError as error:
        print(json.dumps({"job": name, "event": "failed", "error": str(error)}), flush=True)
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        sys.exit(TRY_AGAIN if isinstance(error, TransientError) else FAULT)
    except Exception as error:
        fault = f"{type(error).__name__}: {error} (unexpected; the traceback is in the log)"
        print(json.dumps({"job": name, "event": "failed", "error": fault}), flush=True)
        raise
    print(json.dumps(summary), flush=True)
    sys.stderr.flush()
    # Interpreter shutdown waits for the JVM and for idle thread pools; everything is on disk.
    os._exit(0)


def engine_option(parser: argparse.ArgumentParser) -> None:
    """Add `--no-engine`, for jobs that may call an LLM."""
    told = "only use answers on record, as the shards left them"
    parser.add_argument("--no-engine", dest="engine", action="store_false", help=told)


def shard_option(parser: argparse.ArgumentParser) -> None:
    """Add `--shard`, for a job that is split into shards."""
    parser.add_argument("--shard", type=int, required=True, help="its number, from 0")


def execute(name: str, job: Job, arguments: argparse.Namespace) -> dict[str, Any]:
    """Execute a job's function in its run and record the outcome. Raises PipelineError for faults that a person has to mend."""
    context = context_of(arguments.warehouse.resolve(), arguments.run_id, name)
    part = str(arguments.shard) if "shard" in arguments else ""

    def work() -> dict[str, Any]:
        with (
            scratch_folder(context.warehouse.root, "spill") as spill,
            bounded_memory(context.config.keyed.memory_bytes, spill / "duckdb"),
        ):
            return job(context, arguments)

    summary = attempt(context, name, part, work)
    parent_id = context.parent.release_id if context.parent else None
    return {"job": name, "event": "finished", "run_id": context.run_id, "parent_release_id": parent_id, **summary}
