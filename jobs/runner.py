"""What every job does around its own work: arguments, the night it belongs to, errors, the summary.

The last line of stdout is the job's JSON summary (Airflow keeps it as the task's XCom), the first says it started. A
PipelineError is printed without a traceback and ends the job with exit code 65, or 75 where trying again may help.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from persona_pipeline.config import PipelineConfig, load_config, parse_as_of
from persona_pipeline.errors import PipelineError, TransientError
from persona_pipeline.nights import TRY_AGAIN
from persona_pipeline.publish.releases import Release, parent_of
from persona_pipeline.warehouse import Warehouse, read_summaries, write_summary


@dataclass(frozen=True, slots=True)
class Night:
    """What a job may depend on: invariant 1 of the design."""

    as_of: date
    config: PipelineConfig
    warehouse: Warehouse
    parent: Release | None

    def encoder_id(self) -> str:
        """The encoder the `encoders` job settled on for this night. Raises PipelineError before it has run."""
        summaries = read_summaries(self.warehouse.root, self.as_of)
        if "encoders" not in summaries:
            raise PipelineError(f"no encoder has been chosen for {self.as_of}; run the encoders task first")
        return str(summaries["encoders"]["encoder_id"])


FAULT = 65  # EX_DATAERR: Airflow does not retry a job that ends with it; with TRY_AGAIN it does
Job = Callable[[Night, argparse.Namespace], dict[str, Any]]


def run(name: str, job: Job, options: Callable[[argparse.ArgumentParser], None] | None = None) -> None:
    """Run a job from the command line and exit."""
    parser = argparse.ArgumentParser(prog=f"python -m jobs.{name}", description=sys.modules["__main__"].__doc__)
    parser.add_argument("--warehouse", type=Path, required=True, help="folder of the Delta tables")
    parser.add_argument("--as-of", required=True, help="UTC date; reviews before it count")
    parser.add_argument("--config", default="local", help="profile (local, gpu) or YAML file")
    parser.add_argument("--extractor", help="overrides extraction.extractor")
    if options:
        options(parser)
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("persona_pipeline").setLevel(logging.INFO)
    print(json.dumps({"job": name, "event": "started"}), flush=True)
    try:
        summary = execute(name, job, arguments)
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
    """For jobs that may ask an LLM."""
    told = "only use answers on record, as the shards left them"
    parser.add_argument("--no-engine", dest="engine", action="store_false", help=told)


def execute(name: str, job: Job, arguments: argparse.Namespace) -> dict[str, Any]:
    """Do a job's work and keep its summary. Raises PipelineError for what a person has to mend."""
    started = time.monotonic()
    night = _night(name, arguments)
    parent_id = night.parent.release_id if night.parent else None
    summary = {"job": name, "event": "finished", "parent_release_id": parent_id, **job(night, arguments)}
    summary["seconds"] = round(time.monotonic() - started, 1)
    # Part of a stage, or a trial of it: the night goes by the summary under the stage's own name.
    part = getattr(arguments, "shard", None)
    write_summary(night.warehouse.root, night.as_of, name if part is None else f"{name}-{part}", summary)
    return summary


def _night(name: str, arguments: argparse.Namespace) -> Night:
    as_of = parse_as_of(arguments.as_of)
    overrides = {"extraction": {"extractor": arguments.extractor}} if arguments.extractor else None
    config = load_config(arguments.config, overrides)
    warehouse = Warehouse(arguments.warehouse.resolve(), {"job": name, "as_of": as_of.isoformat()})
    return Night(as_of, config, warehouse, parent_of(warehouse, as_of))
