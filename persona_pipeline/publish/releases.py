"""`releases`: which night is served, which one a night starts from, and at which versions its tables stand."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from persona_pipeline.contracts import load_contract
from persona_pipeline.errors import PipelineError, ReleaseError
from persona_pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Release:
    """One published night."""

    release_id: str
    as_of: date
    encoder_id: str
    versions: dict[str, int]


def published(warehouse: Warehouse) -> list[Release]:
    """Published releases, oldest night first."""
    rows = warehouse.read("releases", where="verdict = 'published'").to_pylist()
    releases = [
        Release(
            row["release_id"],
            row["as_of"],
            row["encoder_id"],
            {entry["table"]: entry["version"] for entry in row["table_versions"]},
        )
        for row in rows
    ]
    return sorted(releases, key=lambda release: (release.as_of, release.release_id))


def served(warehouse: Warehouse) -> Release | None:
    """The release readers see: the newest published one."""
    releases = published(warehouse)
    return releases[-1] if releases else None


def parent_of(warehouse: Warehouse, as_of: date) -> Release | None:
    """The release a night starts from: the last one published before it, so that a rerun has the same parent.

    Raises ReleaseError when a later night is already served: going back would need its own warehouse.
    """
    releases = published(warehouse)
    if releases and releases[-1].as_of > as_of:
        newest = releases[-1]
        raise ReleaseError(
            f"as_of {as_of} lies before the served release {newest.release_id} (as_of {newest.as_of}). "
            "Give an as_of on or after it, or another WAREHOUSE for a backtest."
        )
    earlier = [release for release in releases if release.as_of < as_of]
    return earlier[-1] if earlier else None


def configured(warehouse: Warehouse, release: Release) -> dict[str, Any]:
    """The configuration a release was made under, as plain values by stage."""
    row = warehouse.read("releases", ["config"], where=f"release_id = '{release.release_id}'")
    found: dict[str, Any] = json.loads(row["config"][0].as_py())
    return found


def read_released(
    warehouse: Warehouse, table: str, release: Release | None = None, where: str | None = None
) -> pa.Table:
    """A table as readers see it, at the version of the release (the served one by default); `where` is a SQL condition.

    Raises PipelineError where nothing has been published yet.
    """
    release = release or served(warehouse)
    if release is None:
        raise PipelineError(f"nothing has been published in {warehouse.root} yet; `make nightly` runs a night")
    return warehouse.read(table, version=release.versions[table], where=where)


def inherited(warehouse: Warehouse, table: str, parent: Release | None) -> pa.Table:
    """A table as the night's parent release left it, in the contract's types; empty on a first night."""
    schema = load_contract(table).arrow_schema()
    return warehouse.read(table, version=parent.versions[table]).cast(schema) if parent else schema.empty_table()
