"""A whole night on more and more reviews under a bound of memory: `growth.py [--reviews N ...] [--memory BYTES] [--folder DIR]`.

Every stage of a first night is a process of its own, on this machine, in a control group of so much memory: seconds, the most
memory held, and from size to size the exponent by which they grow. A stage that does not get through is told with its error,
and ends the night of its size: the first wall. Of the texts some are embedded and the others' vectors drawn alike
(`_growth_job.py`); with `--embed` all are embedded.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from _processes import Watch
from ingest import made
from rich.console import Console
from rich.table import Table

from persona_pipeline.config import load_config
from persona_pipeline.runs.opening import Input, open_run
from persona_pipeline.runs.order import ORDER
from persona_pipeline.runs.resume import holding

JOB = Path(__file__).with_name("_growth_job.py")
GROUPS = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stage took: seconds, most bytes held, and where it ended early, with what."""

    seconds: float
    peak_mb: int
    error: str = ""


def main(sizes: list[int], memory: int, folder: Path, until: str, drawn: bool, console: Console) -> dict[str, Any]:
    """Measure every size, and what grows between them."""
    group, found = _group(memory, console), {}
    for size in sizes:
        world = made(folder / f"reviews-{size}", size, console)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            found[size] = night(Path(scratch) / "warehouse", world, size, until, group, drawn, console)
    _show(found, console)
    return {
        "memory_bytes": memory,
        "bounded_by": "cgroup" if group else "nothing: peaks are measured alone",
        "embeddings": "drawn but for a sample" if drawn else "computed",
        "sizes": {size: {job: asdict(spent) for job, spent in spent_of.items()} for size, spent_of in found.items()},
        "exponents": {job: exponents(found, job) for job in found[sizes[0]]},
    }


def night(
    warehouse: Path, world: Path, size: int, until: str, group: Path | None, drawn: bool, console: Console
) -> dict[str, Spent]:
    """Open a run and do its jobs until one fails."""
    as_of = date.fromisoformat(json.loads((world / "truth.json").read_text())["as_of"])
    parts = max(4, size // 250_000)
    config = load_config("local", {"spark": {"shuffle_partitions": parts}, "encoders": {"tuning_minutes": 1.0}})
    spent: dict[str, Spent] = {}
    with holding(warehouse) as environment:
        given = Input("jsonl", world / "reviews", world / "items.jsonl")
        run_id = open_run(warehouse, as_of, config, given, environment)
        for job in ORDER:
            spent[job] = _job(job, warehouse, run_id, environment, group, drawn)
            told = spent[job]
            console.print(
                f"{size:>12,} {job:<18} {told.seconds:>8.1f} s {told.peak_mb:>7,} MB {told.error}", soft_wrap=True
            )
            if told.error or job == until:
                break
    return spent


def _job(job: str, warehouse: Path, run_id: str, environment: dict[str, str], group: Path | None, drawn: bool) -> Spent:
    """Do one job in a process of its own, within the control group."""
    how = "drawn" if drawn else "computed"
    command = [sys.executable, str(JOB), how, job, "--warehouse", str(warehouse), "--run-id", run_id]

    def enter() -> None:
        if group:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    began = time.perf_counter()
    with Watch(every=0.2) as watch:
        # Read while it is in one thread only: the watch looks at processes, it holds no lock.
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **environment}, preexec_fn=enter
        )
    seconds = round(time.perf_counter() - began, 1)
    error = "" if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    return Spent(seconds, round(watch.memory / 2**20), f"exit {done.returncode}: {error[:300]}" if error else "")


def exponents(found: dict[int, dict[str, Spent]], job: str) -> dict[str, float]:
    """Exponents of growth of seconds and memory between the first size and the last that the job was done at."""
    done = [(size, spent[job]) for size, spent in found.items() if job in spent and not spent[job].error]
    if len(done) < 2:
        return {}
    (less, few), (more, many) = done[0], done[-1]
    ratio = math.log(more / less)
    return {
        "seconds": round(math.log(many.seconds / few.seconds) / ratio, 2),
        "memory": round(math.log(many.peak_mb / few.peak_mb) / ratio, 2),
    }


def _group(memory: int, console: Console) -> Path | None:
    """A control group of so much memory; None where this process may not make one."""
    for place, bound in zip(GROUPS, ("memory.limit_in_bytes", "memory.max"), strict=True):
        group = place / f"growth-{os.getpid()}"
        try:
            group.mkdir()
            (group / bound).write_text(str(memory))
        except OSError:
            continue
        return group
    console.print("no control group may be made here: memory is measured, not bounded")
    return None


def _show(found: dict[int, dict[str, Spent]], console: Console) -> None:
    table = Table("", *(f"{size:,}" for size in found), "exponents of time, memory")
    for job in found[next(iter(found))]:
        cells = [
            f"{spent[job].seconds:,.0f} s {spent[job].peak_mb:,} MB" if job in spent else "" for spent in found.values()
        ]
        grown = exponents(found, job)
        table.add_row(job, *cells, f"{grown['seconds']}, {grown['memory']}" if grown else "")
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviews", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--memory", type=int, default=8 * 2**30)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--until", choices=ORDER, default=ORDER[-1], help="the last job to do")
    parser.add_argument("--embed", action="store_true", help="embed all texts")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    output = Console(stderr=True)
    print(json.dumps(main(given.reviews, given.memory, given.folder, given.until, not given.embed, output)))
