"""Run the nightly DAG once through Airflow, showing each task: `make nightly`."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from persona_pipeline.config import load_config, parse_as_of
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.core.package_data import package_folder
from persona_pipeline.ingest.known_input import newest_parsed
from persona_pipeline.orchestrate.events import brief, events
from persona_pipeline.runs.resume import holding
from persona_pipeline.sources.adapters import adapter
from persona_pipeline.sources.files import check_files
from persona_pipeline.sources.given import given_records, given_rows, wait_for
from persona_pipeline.sources.newest import day_after_newest
from persona_pipeline.sources.table_files import check_table
from persona_pipeline.warehouse import Warehouse

AIRFLOW = Path(sys.executable).parent / "airflow"
"""The command that the extra `nightly` installs."""


@dataclass(frozen=True, slots=True)
class NightlyRequest:
    """Command-line options of a nightly run; None means the default."""

    warehouse: Path
    source: str
    reviews: Path | None
    items: Path | None
    as_of: str | None
    config: str
    extractor: str | None
    interactions: Path | None = None


def run_night(request: NightlyRequest, console: Console) -> float:
    """Check the request and run the DAG, showing each task; returns seconds. Raises PipelineError when the run failed."""
    started = time.monotonic()
    warehouse = request.warehouse.resolve()
    params = _params(request, warehouse)
    console.print(f"[bold]Night of {params['as_of']}[/] into {warehouse}", soft_wrap=True)
    for kind in ("reviews", "interactions"):
        if params[kind]:
            console.print(f"{kind} {params[kind]} ({params['source']})", soft_wrap=True)
    console.print()
    log = warehouse / "_logs" / f"{params['as_of']}.log"
    with holding(warehouse) as environment:
        error = _follow(_airflow(params, environment), log, console)
    if error is not None:
        raise PipelineError(f"{error}\nThe whole log is in {log}")
    return time.monotonic() - started


def _params(request: NightlyRequest, warehouse: Path) -> dict[str, Any]:
    """The DAG's parameters, once the input is whole and as far as it can be checked here."""
    overrides = {"interactions": {"file": str(request.interactions.resolve())}} if request.interactions else None
    settings = load_config(request.config, overrides)
    as_of = parse_as_of(request.as_of) if request.as_of else None
    if not AIRFLOW.is_file():
        raise PipelineError(
            "a night needs apache-airflow, which comes with `pip install 'persona-pipeline[nightly]'`; reading releases does not"
        )
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        raise PipelineError(
            "Spark needs Java 17, and there is no `java` on the PATH. Debian: apt-get install openjdk-17-jre-headless"
        )
    source = adapter(request.source)
    reviews, items, events = request.reviews, request.items, settings.interactions.file or None
    if reviews is None and not events:
        if source.name != "synthetic":
            raise PipelineError(
                f"SOURCE={source.name} needs REVIEWS=, a file or folder of reviews, or INTERACTIONS=, of other events"
            )
        reviews, items = _demo(warehouse)
    records, rows = given_records(source.name, reviews, items, settings), given_rows(settings)
    wait_for(records, rows, settings)
    for table in rows:
        check_table(table.path, table.kind)
    parsed: dict[str, dict[str, datetime | None]] = {
        one.kind: newest_parsed(Warehouse(warehouse), one.adapter, settings.reviews)
        for one in records
        if one.kind == "reviews"
    }
    for one in records:
        if as_of or one.kind == "items":
            check_files(one.path, one.kind, one.adapter, parsed.get(one.kind))
    if as_of is None:
        dated = [one for one in records if one.kind != "items"]
        as_of = max(day_after_newest(one, settings.interactions, parsed.get(one.kind)) for one in dated)
    config = Path(request.config)
    return {
        "warehouse": str(warehouse),
        "as_of": as_of.isoformat(),
        "source": source.name,
        "reviews": str(reviews.resolve()) if reviews else None,
        "items": str(items.resolve()) if items else None,
        "interactions": events,
        "config": str(config.resolve()) if config.is_file() else request.config,
        "extractor": request.extractor,
    }


def _demo(warehouse: Path) -> tuple[Path, Path]:
    """Reviews and items of the bundled demo, generated once."""
    from persona_pipeline.sources.synthetic import SyntheticConfig, generate, write

    folder = warehouse / "_demo"
    if not (folder / "truth" / "config.json").is_file():
        write(generate(SyntheticConfig()), folder)
    return folder / "reviews.jsonl.gz", folder / "items.jsonl.gz"


def _airflow(params: dict[str, Any], held: dict[str, str]) -> subprocess.Popen[str]:
    command = [str(AIRFLOW), "dags", "test", "nightly_recommendations", "--conf", json.dumps(params)]
    environment = {
        "AIRFLOW_HOME": str(Path.cwd() / ".airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(package_folder("dags")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Here a person waits: a task that fails is tried again at once, not minutes later.
        "PERSONA_RETRY_SECONDS": "1",
        **os.environ,
        **held,
    }
    if not (Path(environment["AIRFLOW_HOME"]) / "airflow.db").exists():
        _first_time(environment)
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
    )


def _first_time(environment: dict[str, str]) -> None:
    """Create Airflow's database and the pools of the DAG's tasks, as `make setup` does."""
    for arguments in (("db", "migrate"), ("pools", "import", str(package_folder("dags") / "pools.json"))):
        done = subprocess.run([str(AIRFLOW), *arguments], capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise PipelineError(f"airflow {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")


def _follow(airflow: subprocess.Popen[str], log: Path, console: Console) -> str | None:
    """Show tasks as they run, write all output to the log; returns the error message, if any."""
    log.parent.mkdir(parents=True, exist_ok=True)
    error: str | None = None
    finished: set[str] = set()
    running = ""
    assert airflow.stdout is not None
    with log.open("w", encoding="utf-8") as kept, console.status("starting Airflow") as status:
        for event in events(airflow.stdout, kept):
            job = event.get("job", running)
            if event["event"] == "started":
                running = job
                status.update(f"{job} ...")
            elif event["event"] == "progress":
                status.update(f"{running}: {event['text']}")
            elif event["event"] == "finished":
                finished.add(job)
                console.print(
                    f"  [green]✓[/] {job:<16} {event['seconds']:>6.1f} s  [dim]{escape(brief(event))}[/]",
                    soft_wrap=True,
                )
            else:
                error = error or f"{job}: {event['error']}"
                console.print(f"  [red]✗[/] {job}", soft_wrap=True)
    if airflow.wait() != 0 or "releases" not in finished:
        return error or "the night did not end in a release"
    return None
