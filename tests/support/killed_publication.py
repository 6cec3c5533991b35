"""A small warehouse, a night published and the next one waiting, and `jobs.releases` in processes to be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from helpers import AS_OF, Row, put_all, shop
from published_reader import digest
from publishing import TONIGHT, run

from persona_pipeline.config import PipelineConfig, load_config
from persona_pipeline.publish.releases import Release, served
from persona_pipeline.publish.staging import PUBLISHED, staged_tables
from persona_pipeline.runs.completeness import TASKS
from persona_pipeline.runs.log import add_event, run_rows
from persona_pipeline.runs.opening import Input, open_run
from persona_pipeline.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "user_item_topk: {k: 2}\nspark: {driver_memory: 1g, shuffle_partitions: 2}\n"


def prepare(root: Path) -> Path:
    """The warehouse under `root`: the night of AS_OF published, that of TONIGHT up to its candidates."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "small.yaml").write_text(CONFIG)
    warehouse = Warehouse(root / "warehouse")
    put_all(warehouse, {**shop(), "user_item_topk": _lists(0.0)})
    run(warehouse, AS_OF, config=load_config(root / "small.yaml"))
    default = [{**row, "score": row["score"] + 0.5, "changed_as_of": TONIGHT} for row in shop()["default_topk"]]
    put_all(warehouse, {"user_item_topk": _lists(0.02), "default_topk": default})
    record(warehouse, TONIGHT, load_config(root / "small.yaml"))
    return warehouse.root


def record(warehouse: Warehouse, as_of: date, config: PipelineConfig) -> str:
    """A run on record as if its tasks up to `releases` had made the tables as they are."""
    run_id = open_run(warehouse.root, as_of, config, Input())
    for task in TASKS:
        left = {f"_candidates/{task}": staged_tables(warehouse).version(task)} if task in PUBLISHED else {}
        writes = [
            {"table": table, "version": version, "inserted": 0, "updated": 0, "deleted": 0}
            for table, version in left.items()
        ]
        key = {"run_id": run_id, "task": task, "part": "", "attempt": 1}
        figures = json.dumps({"encoder_id": "enc1"})
        add_event(warehouse, {**key, "event": "started", "at": datetime.now(UTC)})
        done = {"outcome": "succeeded", "reads": [], "writes": writes, "figures": figures, "seconds": 0.0}
        add_event(warehouse, {**key, "event": "ended", "at": datetime.now(UTC), **done})
    return run_id


def _lists(more: float) -> list[Row]:
    """In two partitions, each row with another score, so that half a night would show."""
    rows = []
    for n, row in enumerate(shop()["user_item_topk"]):
        shares = [*row["contributions"], {"kind": "prior", "review_id": None, "item_id": None, "share": more}]
        bucket = (n // 2) % 2
        rows.append({**row, "score": row["score"] + more, "contributions": shares, "user_bucket": bucket})
    return rows


def publish(warehouse: Path) -> subprocess.Popen[str]:
    """The job `releases` of TONIGHT as Airflow runs it, in a process group of its own."""
    run_id = run_rows(Warehouse(warehouse))[-1]["run_id"]
    command = [sys.executable, "-m", "jobs.releases", "--warehouse", str(warehouse), "--run-id", run_id]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, cwd=ROOT
    )


def kill_when(process: subprocess.Popen[str], ready: Callable[[], bool], after: float = 0.0) -> bool:
    """Signal 9 to the process and its JVM, `after` seconds from when `ready`; False where it ended before."""
    while process.poll() is None and not ready():
        time.sleep(0.005)
    deadline = time.monotonic() + after
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    ended = process.poll() is not None
    if not ended:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return not ended


def wanted(warehouse: Path) -> tuple[str, str]:
    """Digests of what readers may see: the night published, and the one to come."""
    here = Warehouse(warehouse)
    release = served(here)
    assert release is not None
    waiting = staged_tables(here)
    return digest(here, release), digest(waiting, Release("waiting", TONIGHT, "enc1", waiting.versions()))


def files(warehouse: Path, pattern: str) -> int:
    """How many there are."""
    return len(list(warehouse.glob(pattern)))


def said(output: str) -> Row:
    """The job's last event."""
    events = [json.loads(line) for line in output.splitlines() if line.startswith('{"job"')]
    found: Row = events[-1]
    return found
