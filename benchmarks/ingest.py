"""Ingest and aggregation of a large synthetic input against DuckDB: `ingest.py [--reviews N ...] [--folder DIR]`.

Ours: a real run, opened as a night's is, with its jobs `reviews`, `item_reviews` and `user_histories`, each a process of its
own, its tables Delta. Theirs (`_ingest_duckdb.py`): the same cleaning, checks, de-duplication and aggregation in SQL, as many
threads, on the same files, its tables Parquet. Then a second night with a hundredth more. Seconds are of the whole process,
JVM and imports included. Both sides must accept the number of reviews that the input's truth says. Several sizes show what
grows. A folder keeps the inputs for another time.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psutil
from _processes import Watch
from rich.console import Console
from rich.table import Table

from persona_pipeline.config import PipelineConfig, load_config
from persona_pipeline.orchestrate.local import LocalRun
from persona_pipeline.runs.opening import Input, open_run
from persona_pipeline.runs.resume import holding
from persona_pipeline.sources.synthetic.large import LargeConfig
from persona_pipeline.warehouse import Warehouse

JOBS = ("reviews", "item_reviews", "user_histories")
STAGES = ("open", *JOBS)
PEER = Path(__file__).with_name("_ingest_duckdb.py")


@dataclass(frozen=True, slots=True)
class Spent:
    """What one stage took."""

    seconds: float
    peak_mb: float = 0.0
    read_mb: float = 0.0


def main(sizes: list[int], threads: int, memory: str, folder: Path, console: Console) -> dict[str, Any]:
    """Measure every size, the last one for the ratio."""
    found = {}
    for size in sizes:
        world = made(folder / f"reviews-{size}", size, console)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            found[size] = measured(world, Path(scratch), threads, memory, console)
    last = found[sizes[-1]]
    grown = {
        stage: round(last["ours"][stage]["seconds"] / found[sizes[0]]["ours"][stage]["seconds"], 2) for stage in STAGES
    }
    return {
        "reviews": sizes[-1],
        "threads": threads,
        **last,
        **({"grown_from": sizes[0], "times": grown} if len(sizes) > 1 else {}),
        "ratio_vs_duckdb": last["ratio_vs_duckdb"],
    }


def made(folder: Path, size: int, console: Console) -> Path:
    """The input of this size, made unless it is there."""
    config = LargeConfig(n_reviews=size, n_users=size // 10, n_items=max(200, size // 50))
    truth = folder / "truth.json"
    if truth.is_file() and LargeConfig.model_validate(json.loads(truth.read_text())["config"]) == config:
        return folder
    sizes = [
        f"--{name}={n}"
        for name, n in zip(("reviews", "users", "items"), (size, size // 10, config.n_items), strict=True)
    ]
    call = "from persona_pipeline.commands.app import main; main()"
    with Watch() as watch:
        seconds, _ = _timed(lambda: _ran([sys.executable, "-c", call, "synthetic", str(folder), *sizes]))
    console.print(f"{size:,} reviews made in {seconds:.0f} s, {watch.memory / 2**20:,.0f} MB at most")
    return folder


def measured(world: Path, scratch: Path, threads: int, memory: str, console: Console) -> dict[str, Any]:
    """Both sides and the second night."""
    truth = json.loads((world / "truth.json").read_text())
    as_of = date.fromisoformat(truth["as_of"])
    reviews = scratch / "reviews"
    shutil.copytree(world / "reviews", reviews, copy_function=os.link)
    # A task's partition is some hundred thousand reviews, as an operator of such a table would set it.
    parts = max(4, truth["config"]["n_reviews"] // 250_000)
    config = load_config("local", {"spark": {"master": f"local[{threads}]", "shuffle_partitions": parts}})
    ours = night(scratch / "warehouse", as_of, config, reviews, world / "items.jsonl", console)
    _accepted(scratch / "warehouse", truth["reviews"]["accepted"])
    with Watch() as watch:
        seconds, theirs = _timed(
            lambda: peer(reviews, world / "items.jsonl", scratch / "duckdb", as_of, threads, memory)
        )
    if theirs["rows"]["reviews"] != truth["reviews"]["accepted"]:
        raise SystemExit(
            f"DuckDB accepts {theirs['rows']['reviews']:,} reviews, the truth is {truth['reviews']['accepted']:,}"
        )
    same = same_texts(scratch / "warehouse", scratch / "duckdb")
    for file in (world / "increment").iterdir():
        os.link(file, reviews / file.name.replace("increment", "reviews-later"))
    second = night(scratch / "warehouse", as_of + timedelta(days=1), config, reviews, world / "items.jsonl", console)
    _accepted(scratch / "warehouse", truth["with_increment"]["accepted"])
    whole = sum(ours[stage].seconds for stage in STAGES)
    _show(console, truth["config"]["n_reviews"], ours, second, theirs["seconds"], seconds, watch.memory)
    return {
        "ours": {stage: asdict(spent) for stage, spent in ours.items()},
        "duckdb": {**{stage: round(took, 1) for stage, took in theirs["seconds"].items()}, "whole": round(seconds, 1)},
        "duckdb_peak_mb": round(watch.memory / 2**20),
        "seconds": round(whole, 1),
        "same_texts": same,
        "second_night": {
            "seconds": round(sum(spent.seconds for spent in second.values()), 1),
            "read_mb": round(sum(spent.read_mb for spent in second.values())),
            "first_read_mb": round(sum(spent.read_mb for spent in ours.values())),
            "stages": {stage: asdict(spent) for stage, spent in second.items()},
        },
        "ratio_vs_duckdb": round(whole / seconds, 2),
    }


def night(
    warehouse: Path, as_of: date, config: PipelineConfig, reviews: Path, items: Path, console: Console
) -> dict[str, Spent]:
    """Open a run, which reads its input files to know them by content, and do its first jobs: what each took."""
    run, spent = LocalRun(warehouse, as_of, config, "jsonl", reviews, items), {}
    with holding(warehouse) as environment:
        given = Input("jsonl", reviews, items)
        before = psutil.Process().io_counters().read_chars
        seconds, run_id = _timed(lambda: open_run(warehouse, as_of, config, given, environment))
        read = psutil.Process().io_counters().read_chars - before
        spent["open"] = Spent(round(seconds, 1), read_mb=round(read / 2**20, 1))
        for job in JOBS:
            with Watch() as watch:
                seconds, _ = _timed(lambda job=job: run.run_job(job, run_id, console, environment))  # type: ignore[misc]
            spent[job] = Spent(round(seconds, 1), round(watch.memory / 2**20), round(watch.read / 2**20, 1))
    return spent


def peer(reviews: Path, items: Path, out: Path, as_of: date, threads: int, memory: str) -> dict[str, Any]:
    """DuckDB's seconds by stage and counts of rows."""
    paths = [f"--{name}={path}" for name, path in (("reviews", reviews), ("items", items), ("out", out))]
    options = [f"--as-of={as_of}", f"--threads={threads}", f"--memory={memory}"]
    found: dict[str, Any] = json.loads(_ran([sys.executable, str(PEER), *paths, *options]).splitlines()[-1])
    return found


def same_texts(warehouse: Path, out: Path) -> float:
    """Share of the reviews that both sides accept whose cleaned text is the same."""
    con = duckdb.connect()
    con.register("ours", Warehouse(warehouse).dataset("reviews"))
    found = con.execute(
        f"SELECT avg((o.text = t.text)::INT) FROM ours AS o JOIN '{out}/reviews.parquet' AS t USING (review_id)"
    ).fetchone()
    assert found is not None
    return round(float(found[0]), 4)


def _accepted(warehouse: Path, expected: int) -> None:
    found = Warehouse(warehouse).dataset("reviews").count_rows()
    if found != expected:
        raise SystemExit(f"the job `reviews` accepts {found:,} reviews, the truth of the input is {expected:,}")


def _show(
    console: Console,
    size: int,
    first: dict[str, Spent],
    second: dict[str, Spent],
    theirs: dict[str, float],
    whole: float,
    peak: float,
) -> None:
    table = Table("", "seconds", "peak MB", "MB read", "DuckDB s", "next night s", "MB read", title=f"{size:,} reviews")
    for stage, spent in first.items():
        other = f"{theirs[stage]:.1f}" if stage in theirs else ""
        again = second[stage]
        figures = (f"{spent.seconds:.1f}", f"{spent.peak_mb:,.0f}", f"{spent.read_mb:,.0f}")
        table.add_row(stage, *figures, other, f"{again.seconds:.1f}", f"{again.read_mb:,.0f}")
    totals = [f"{sum(getattr(one, name) for one in first.values()):,.1f}" for name in ("seconds", "read_mb")]
    most = max(one.peak_mb for one in first.values())
    later = [f"{sum(getattr(one, name) for one in second.values()):,.1f}" for name in ("seconds", "read_mb")]
    table.add_row("whole", totals[0], f"{most:,.0f}", totals[1], f"{whole:.1f} ({peak / 2**20:,.0f} MB)", *later)
    console.print(table)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    done = work()
    return time.perf_counter() - began, done


def _ran(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, nargs="+", default=[200_000], help="sizes, smallest first")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--duckdb-memory", default="8GB", help="DuckDB's limit; it spills beyond it")
    parser.add_argument("--folder", type=Path, help="where inputs are kept; default: a temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        kept = given.folder or Path(temporary)
        kept.mkdir(parents=True, exist_ok=True)
        outcome = main(given.reviews, given.threads, given.duckdb_memory, kept, Console(stderr=True, width=120))
    print(json.dumps(outcome))
