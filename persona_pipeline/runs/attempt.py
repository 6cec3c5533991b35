"""Execute one attempt at a task and record its start and end in `task_runs`, whatever its outcome."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from persona_pipeline.core.errors import PipelineError, TransientError
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.log import add_event, attempts
from persona_pipeline.runs.opening import HELD, lock_name
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.erasures import require_none_pending

_NOT_FIGURES = ("job", "event", "written", "candidate", "seconds")


def attempt(context: RunContext, task: str, part: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Execute a task and record it; returns its summary.

    Raises BusyError where the same task of the warehouse is running already, or people are being erased from it, and whatever
    the task raises.
    """
    log = Warehouse(context.warehouse.root, context.warehouse.commit)
    with log.lock(lock_name(task, part)):
        # Again, now that an erasure that begins would see the lock.
        require_none_pending(log.root)
        before = [
            one for one in attempts(log, context.run_id).get(context.run_id, []) if (one.task, one.part) == (task, part)
        ]
        key = {"run_id": context.run_id, "task": task, "part": part, "attempt": len(before) + 1}
        add_event(log, {**key, "event": "started", "at": datetime.now(UTC)})
        started = time.monotonic()
        summary: dict[str, Any] = {}
        ended: dict[str, Any] = {"outcome": "unexpected", "detail": "it was interrupted"}
        try:
            summary = work()
            ended = {"outcome": "succeeded"}
        except TransientError as error:
            ended = {"outcome": "try_again", "detail": str(error)}
            raise
        except PipelineError as error:
            ended = {"outcome": "failed", "detail": str(error)}
            raise
        except Exception as error:
            ended = {"outcome": "unexpected", "detail": f"{type(error).__name__}: {error}"}
            raise
        finally:
            seconds = round(time.monotonic() - started, 1)
            add_event(
                log,
                {
                    **key,
                    "event": "ended",
                    "at": datetime.now(UTC),
                    "seconds": seconds,
                    **ended,
                    **_account(context, summary),
                },
            )
        return {**summary, "seconds": seconds}


def _account(context: RunContext, summary: dict[str, Any]) -> dict[str, Any]:
    """Tables read and written, tokens and resources used."""
    pins, llm = context.warehouse.pins, summary.get("llm") or {}
    names = ("version", "inserted", "updated", "deleted")
    writes = [
        {"table": table, **dict(zip(names, counts, strict=True))}
        for table, counts in (pins.writes if pins else {}).items()
    ]
    if candidate := summary.get("candidate"):
        writes.append({**candidate, "table": f"_candidates/{candidate['table']}"})
    figures = {name: value for name, value in summary.items() if name not in _NOT_FIGURES}
    figures["runner"] = (
        "local" if os.environ.get(HELD) else "scheduler" if "AIRFLOW_CTX_DAG_ID" in os.environ else "hand"
    )
    return {
        "reads": [_read(context.warehouse, *read) for read in (pins.reads if pins else {}).items()],
        "writes": writes,
        "peak_memory": _peak_memory(),
        "prompt_tokens": llm.get("prompt_tokens"),
        "reply_tokens": llm.get("completion_tokens"),
        "figures": json.dumps(figures, sort_keys=True, default=str),
    }


def _read(warehouse: Warehouse, table: str, version: int) -> dict[str, Any]:
    return {"table": table, "version": version, "rows": warehouse.row_count(table, version)}


def _peak_memory() -> int:
    """Peak memory in bytes: of this process and its living descendants (a JVM, an engine), each at its own peak."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return own + sum(_high_water(child) for child in _descendants(os.getpid()))


def _descendants(parent: int) -> list[int]:
    """Process ids of all descendants; none on a system without /proc."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if mother := _status(int(folder.name), "PPid:"):
            children.setdefault(mother, []).append(int(folder.name))
    found, open_ = [], [parent]
    while open_:
        new = children.get(open_.pop(), [])
        found += new
        open_ += new
    return found


def _high_water(pid: int) -> int:
    return _status(pid, "VmHWM:") * 1024


def _status(pid: int, name: str) -> int:
    """A number of a process's status; 0 where the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(name))
