"""Nights without Airflow, for benchmarks: the jobs one after the other, each in its own process as in the DAG."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from jobs import ORDER


def run_night(
    warehouse: Path, as_of: str, source: str, reviews: Path, items: Path | None, config: str = "local"
) -> dict[str, dict[str, Any]]:
    """Summaries by job. Stops at the first job that fails, with what it printed."""
    summaries = {}
    for job in ORDER:
        command = [
            sys.executable,
            "-m",
            f"jobs.{job}",
            "--warehouse",
            str(warehouse),
            "--as-of",
            as_of,
            "--config",
            config,
        ]
        if job == "reviews":
            command += ["--source", source, "--reviews", str(reviews), *(["--items", str(items)] if items else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{job} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        summaries[job] = json.loads(done.stdout.splitlines()[-1])
        print(f"  {job:<16} {summaries[job]['seconds']:>6.1f} s", file=sys.stderr, flush=True)
    return summaries
