"""Job summaries: what each job of a night counted, one small JSON file per job, written atomically."""

import json
import os
from datetime import date
from pathlib import Path
from typing import Any


def write_summary(root: Path, as_of: date, job: str, summary: dict[str, Any]) -> None:
    """Keep a job's summary under `_summaries/<as_of>/<job>.json`, replacing that of an earlier attempt."""
    folder = root / "_summaries" / as_of.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{job}.{os.getpid()}"
    partial.write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(folder / f"{job}.json")


def read_summaries(root: Path, as_of: date) -> dict[str, dict[str, Any]]:
    """Summaries of one night by job."""
    folder = root / "_summaries" / as_of.isoformat()
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
