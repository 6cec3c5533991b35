"""Read `releases`: the served release, a run's parent release, and the table versions of each.

Rows are never deleted. A rollback sets the verdict of withdrawn releases to `rolled_back`, so that the served release
is always the newest published one, for readers in SQL too.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError, ReleaseError
from persona_pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Release:
    """One published night."""

    release_id: str
    as_of: date
    encoder_id: str
    versions: dict[str, int]


Row = dict[str, Any]


def published(warehouse: Warehouse) -> list[Release]:
    """Published releases, oldest night first."""
    return [release_of(row) for row in release_rows(warehouse) if row["verdict"] == "published"]


def release_rows(warehouse: Warehouse) -> list[Row]:
    """Every row of `releases`, oldest night first."""
    rows: list[Row] = warehouse.read("releases").to_pylist()
    return sorted(rows, key=lambda row: (row["as_of"], row["release_id"]))


def release_row(warehouse: Warehouse, release_id: str) -> Row:
    """The row of a release. Raises ReleaseError where there is none."""
    for row in release_rows(warehouse):
        if row["release_id"] == release_id:
            return row
    raise ReleaseError(
        f"there is no release {release_id} in {warehouse.root}; `persona-pipeline releases list` shows those there are"
    )


def release_of(row: Mapping[str, Any]) -> Release:
    """Parse a row of `releases`."""
    versions = {entry["table"]: entry["version"] for entry in row["table_versions"]}
    return Release(row["release_id"], row["as_of"], row["encoder_id"], versions)


def missing_files(warehouse: Warehouse, release: Release, tables: Collection[str] | None = None) -> list[Path]:
    """Files of the release's tables (all by default) that were deleted since, or tables whose log was.

    Empty while the release is retained.
    """
    missing = set()
    for table in release.versions.keys() & (release.versions if tables is None else tables):
        try:
            missing |= {path for path in warehouse.files(table, release.versions[table]) if not path.is_file()}
        except PipelineError:
            missing.add(Path(warehouse.path(table)))
    return sorted(missing)


def served(warehouse: Warehouse) -> Release | None:
    """The release readers see: the newest published one."""
    releases = published(warehouse)
    return releases[-1] if releases else None


def parent_of(warehouse: Warehouse, as_of: date) -> Release | None:
    """The release a run starts from: the last one published before its night, so that a rerun has the same parent.

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
    """The configuration of a release, as plain values by stage."""
    row = warehouse.read("releases", ["config"], where=f"release_id = '{release.release_id}'")
    found: dict[str, Any] = json.loads(row["config"][0].as_py())
    return found


def read_released(
    warehouse: Warehouse, table: str, release: Release | None = None, where: str | None = None
) -> pa.Table:
    """A table at the version of a release (the served one by default); `where` is a SQL condition.

    Raises PipelineError where nothing has been published yet.
    """
    release = release or served(warehouse)
    if release is None:
        raise PipelineError(f"nothing has been published in {warehouse.root} yet; `make nightly` runs a night")
    return warehouse.read(table, version=release.versions[table], where=where)


def read_parent(warehouse: Warehouse, table: str, parent: Release | None) -> pa.Table:
    """A table at the version of the run's parent release, in the contract's types; empty on a first night."""
    schema = load_contract(table).arrow_schema()
    return warehouse.read(table, version=parent.versions[table]).cast(schema) if parent else schema.empty_table()
