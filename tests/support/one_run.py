"""One run, really opened, whose jobs are done in this process one at a time and looked at from outside."""

import argparse
import shutil
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from typing import Any

from helpers import AS_OF, Row, state

from jobs.runner import execute
from persona_pipeline.config import load_config
from persona_pipeline.contracts import load_contract
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.runs.opening import Input, open_run
from persona_pipeline.warehouse import Warehouse

NOTHING = Input()
SPARK = {"driver_memory": "2g", "shuffle_partitions": 2}  # as the session's own is


@dataclass(frozen=True, slots=True)
class OneRun:
    """A run of a warehouse."""

    warehouse: Warehouse
    run_id: str

    def do(self, job: str, **arguments: Any) -> Row:
        """A job, as its process does it; returns its summary."""
        given = argparse.Namespace(
            **{"warehouse": self.warehouse.root, "run_id": self.run_id, "engine": True} | arguments
        )
        return execute(job, import_module(f"jobs.{job}").job, given)

    def again(self, job: str, **arguments: Any) -> Row:
        """The job once more, which changes no row and commits to no table; returns its summary."""
        before = _versions(self.warehouse)
        summary = self.do(job, **arguments)
        assert {change for write in written(summary).values() for change in write} <= {0}
        assert _versions(self.warehouse) == before
        return summary

    def settle_on(self, encoder_id: str) -> None:
        """As if the task `encoders` had chosen this one."""
        given = argparse.Namespace(warehouse=self.warehouse.root, run_id=self.run_id)
        execute("encoders", lambda *_: {"encoder_id": encoder_id}, given)


def opened(warehouse: Warehouse, given: Input = NOTHING, as_of: date = AS_OF, **settings: Any) -> OneRun:
    """A run under the local profile with these settings."""
    config = load_config("local", {"spark": SPARK, **settings})
    return OneRun(warehouse, open_run(warehouse.root, as_of, config, given))


def without(warehouse: Warehouse, *tables: str) -> Warehouse:
    """The warehouse before any night made these tables."""
    for table in tables:
        shutil.rmtree(warehouse.path(table))
    return warehouse


def written(summary: Row) -> dict[str, tuple[int, int, int]]:
    """Rows inserted, updated and deleted, by table, as a summary says it."""
    writes = [*summary.get("written", ()), *([summary["candidate"]] if "candidate" in summary else ())]
    return {write["table"]: (write["inserted"], write["updated"], write["deleted"]) for write in writes}


def kept(warehouse: Warehouse, table: str) -> list[Row]:
    """Rows of a table, in key order; it is there, and is as its contract says: columns, types, nulls and key."""
    assert warehouse.exists(table)
    contract, rows = load_contract(table), warehouse.read(table)
    assert warehouse.dataset(table).schema.names == contract.names
    assert contract.conform(rows).schema.types == contract.arrow_schema().types
    found: list[Row] = contract.conform(rows).to_pylist()
    return found


def _versions(warehouse: Warehouse) -> tuple[dict[str, int], dict[str, int]]:
    return state(warehouse), staged_tables(warehouse).versions()
