"""Jobs in a process of their own, on a fixture engine that takes its time, to be killed from outside or at a given write.

    python killed_job.py WAREHOUSE ASKED JOB[:SHARD] ... [--seconds S] [--die WHEN:CALL:TABLE]

Every request asked is a line in ASKED. `--die before:append:llm_calls` kills the process with signal 9 at that write.
"""

import argparse
import os
import signal
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from fixture_engine import FixtureBackend, FixtureEngine, WordCounts, echo
from helpers import AS_OF

from persona_pipeline.config import load_config
from persona_pipeline.embeddings import cache
from persona_pipeline.extract import extractors
from persona_pipeline.extract.llm import response_cache
from persona_pipeline.extract.llm.engines.engine import Answer
from persona_pipeline.extract.llm.requests import Request
from persona_pipeline.runs.context import RunContext
from persona_pipeline.warehouse import Warehouse

BATCH = 3  # answers a file of the ledger holds here


class _SlowEngine(FixtureEngine):
    def __init__(self, backend: FixtureBackend, asked: Path, seconds: float) -> None:
        super().__init__(backend)
        self._asked, self._seconds = asked, seconds

    def submit(self, request: Request) -> None:
        with self._asked.open("a") as lines:
            lines.write(f"{request.key}\n")
        super().submit(request)

    def poll(self) -> list[Answer]:
        time.sleep(self._seconds)
        return super().poll()


def _slow(asked: Path, seconds: float) -> FixtureBackend:
    backend = FixtureBackend(echo)
    backend.start = lambda: _SlowEngine(backend, asked, seconds)  # type: ignore[method-assign]
    return backend


def _die_at(when: str, call: str, table: str) -> None:
    original = getattr(Warehouse, call)

    def dying(self: Warehouse, name: str, *rows: Any) -> Any:
        if (when, name) == ("before", table):
            os.kill(os.getpid(), signal.SIGKILL)
        done = original(self, name, *rows)
        if (when, name) == ("after", table):
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(Warehouse, call, dying)


def main() -> None:
    """Run the jobs, one after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("warehouse", type=Path)
    parser.add_argument("asked", type=Path)
    parser.add_argument("jobs", nargs="+")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--die")
    arguments = parser.parse_args()
    response_cache.BATCH = BATCH
    cache.TextModel = WordCounts  # type: ignore[assignment, attr-defined]
    backend = _slow(arguments.asked, arguments.seconds)
    extractors._backend = lambda config: backend
    if arguments.die:
        _die_at(*arguments.die.split(":"))
    llm = {"method": "per_review", "shard_tokens": 1, "max_shards": 2}
    config = load_config("local", {"extraction": {"extractor": "vllm", "reviews_per_persona": 1, "llm": llm}})
    night = RunContext(AS_OF, config, Warehouse(arguments.warehouse), None, row={"run_id": "2024-06-30.1"})
    for told in arguments.jobs:
        name, _, shard = told.partition(":")
        options = argparse.Namespace(shard=int(shard)) if shard else argparse.Namespace(engine=False)
        import_module(f"jobs.{name}").job(night, options)


if __name__ == "__main__":
    main()
