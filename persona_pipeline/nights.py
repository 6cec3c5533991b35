"""Nights without Airflow: the jobs one after the other, each in its own process as in the DAG, shown as they go.

A night may be told what it is made from, as a hash: then jobs that already ended under the same hash are left alone, so
that one broken off goes on where it was, and one that stands costs nothing.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from persona_pipeline.errors import PipelineError, TransientError
from persona_pipeline.progress import brief, events

ORDER = (
    "reviews",
    "item_reviews",
    "user_histories",
    "candidates",
    "review_aspects",
    "item_summaries",
    "item_personas",
    "text_embeddings",
    "persona_choices",
    "training_pairs",
    "encoders",
    "persona_vectors",
    "user_vectors",
    "user_item_topk",
    "default_topk",
    "releases",
    "report",
)
"""The jobs of a night, in an order the DAG allows."""

TRY_AGAIN = 75  # EX_TEMPFAIL: what failed may well work the next time

_DONE = "done.json"

Summary = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Night:
    """One night of one warehouse, and where its input lies."""

    warehouse: Path
    as_of: date
    config: str
    source: str
    reviews: Path
    items: Path | None = None

    def run(self, jobs: Sequence[str], console: Console, made_from: str | None = None) -> dict[str, Summary]:
        """Summaries by job; those that ended under the same `made_from` are not run again.

        Raises PipelineError with what the first job to fail said, TransientError where trying again may help.
        """
        done: dict[str, Any] = _read(self.warehouse / _DONE) if made_from else {}
        summaries = {}
        for job in jobs:
            if job in done and done[job]["made_from"] == made_from:
                summaries[job] = done[job]["summary"]
                continue
            # Forgotten first: a job that is broken off may leave its table as neither the old night nor the new has it.
            if done.pop(job, None):
                _write(self.warehouse / _DONE, done)
            summaries[job] = self.run_job(job, console)
            if made_from:
                done[job] = {"made_from": made_from, "summary": summaries[job]}
                _write(self.warehouse / _DONE, done)
        return summaries

    def run_job(self, job: str, console: Console) -> Summary:
        """Run one job and return its summary. Its output is kept in `_logs/`. Raises as `run`."""
        command = [sys.executable, "-m", f"jobs.{job}", "--warehouse", str(self.warehouse)]
        command += ["--as-of", self.as_of.isoformat(), "--config", self.config]
        if job == "reviews":
            command += ["--source", self.source, "--reviews", str(self.reviews)]
            command += ["--items", str(self.items)] if self.items else []
        log = self.warehouse / "_logs" / f"{self.as_of}.{job}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        summary: Summary | None = None
        error = ""
        with (
            log.open("w", encoding="utf-8") as kept,
            console.status(f"{job} ...") as status,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
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


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _write(path: Path, done: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_text(json.dumps(done, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(path)
