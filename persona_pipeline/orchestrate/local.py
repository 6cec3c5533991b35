"""Run a night without Airflow: its jobs in sequence, each in its own process as in the DAG, with progress.

An interrupted night resumes: jobs that succeeded in a run with the same input hash are skipped.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from persona_pipeline.config import PipelineConfig
from persona_pipeline.core.errors import PipelineError, TransientError
from persona_pipeline.orchestrate.events import brief, events
from persona_pipeline.runs.opening import Input, made_from, open_run
from persona_pipeline.runs.order import TRY_AGAIN
from persona_pipeline.runs.resume import holding, resumable_run, still_valid

Summary = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LocalRun:
    """One night in one warehouse, with its configuration and input."""

    warehouse: Path
    as_of: date
    config: PipelineConfig
    source: str
    reviews: Path | None
    items: Path | None = None

    def run(self, jobs: Sequence[str], console: Console, resume: bool = False) -> dict[str, Summary]:
        """Run jobs and return their summaries; with `resume`, skip jobs that succeeded under the same input hash.

        Raises PipelineError with the error of the first job to fail, TransientError where a retry may help, and
        BusyError where another run is active.
        """
        with holding(self.warehouse) as environment:
            made_from = self.made_from() if resume else ""
            run_id, summaries = resumable_run(self.warehouse, made_from), {}
            for job in jobs:
                stood = still_valid(self.warehouse, made_from, job)
                if stood is None:
                    run_id = run_id or open_run(self.warehouse, self.as_of, self.config, self._input(), environment)
                    stood = self.run_job(job, run_id, console, environment)
                summaries[job] = stood
            return summaries

    def made_from(self) -> str:
        """Hash of the code, configuration and input the night depends on."""
        return made_from(self.warehouse, self.as_of, self.config, self._input())

    def _input(self) -> Input:
        return Input(self.source, self.reviews, self.items)

    def run_job(self, job: str, run_id: str, console: Console, environment: dict[str, str]) -> Summary:
        """Run one job and return its summary. Its output is kept in `_logs/`. Raises as `run`."""
        command = [sys.executable, "-m", f"jobs.{job}", "--warehouse", str(self.warehouse), "--run-id", run_id]
        log = self.warehouse / "_logs" / f"{run_id}.{job}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        summary: Summary | None = None
        error = ""
        with (
            log.open("w", encoding="utf-8") as kept,
            console.status(f"{job} ...") as status,
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, **environment},
            ) as process,
        ):
            assert process.stdout is not None
            for event in events(process.stdout, kept):
                if event["event"] == "progress":
                    status.update(f"{job}: {event['text']}")
                elif event["event"] == "finished":
                    summary = event
                elif event["event"] == "failed":
                    error = event["error"]
        if process.returncode or summary is None:
            console.print(f"  [red]✗[/] {job}")
            raise (TransientError if process.returncode == TRY_AGAIN else PipelineError)(
                f"{job}: {error or f'ended with {process.returncode}'}\nThe whole log is in {log}"
            )
        told = f"{job:<16} {summary['seconds']:>6.1f} s  [dim]{escape(brief(summary))}[/]"
        console.print(f"  [green]✓[/] {told}", soft_wrap=True)
        return summary
