"""Print `releases`: the list, one release in full, and the diff of two."""

from datetime import date

from rich.console import Console
from rich.table import Table
from rich.text import Text

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.core.terminal import counted, one_line
from persona_pipeline.publish.drift_limits import changed_settings
from persona_pipeline.publish.release_diff import CAUSES, CHANGES, release_diff
from persona_pipeline.publish.releases import (
    Release,
    Row,
    configured,
    missing_files,
    release_of,
    release_row,
    release_rows,
    served,
)
from persona_pipeline.publish.staging import PUBLISHED
from persona_pipeline.warehouse import Warehouse

_COLOURS = {"published": "green", "refused": "red", "accepted": "yellow", "rolled_back": "yellow", "superseded": "dim"}


def show_releases(warehouse: Warehouse, console: Console) -> None:
    """Print every release, newest night first: verdict, encoder, reasons, and which one is served."""
    rows, current = release_rows(warehouse)[::-1], served(warehouse)
    if not rows:
        console.print(f"no night has been judged in {warehouse.root} yet; `make nightly` runs one", markup=False)
        return
    for row in rows:
        verdict = Text(row["verdict"], _COLOURS.get(row["verdict"], ""))
        if current is not None and row["release_id"] == current.release_id:
            verdict.append(" served", "bold green")
        elif row["verdict"] == "published" and missing_files(warehouse, release_of(row), PUBLISHED):
            verdict.append(" cleaned", "dim")
        verdict.pad_right(max(0, 18 - len(verdict)))
        told = (one_line(row["release_id"]), "  ", verdict, one_line(row["encoder_id"] or ""))
        console.print(Text.assemble(f"{row['as_of']}  ", *told), soft_wrap=True)
        for reason in row["reasons"]:
            console.print(Text.assemble("            ", one_line(reason)), soft_wrap=True)


def show_release(warehouse: Warehouse, release_id: str, console: Console) -> None:
    """Print one release in full: reasons, inputs, table versions, audit measures."""
    row = release_row(warehouse, release_id)
    current = served(warehouse)
    mark = " (served)" if current and current.release_id == release_id else ""
    facts = {
        "verdict": f"{row['verdict']}{mark}",
        "as of": str(row["as_of"]),
        "parent": row["parent_release_id"] or "none: a first night",
        "encoder": row["encoder_id"] or "",
        "configuration": row["config_digest"],
    }
    console.print(one_line(release_id), style="bold")
    for name, value in facts.items():
        console.print(f"  {name:<14} {value}", markup=False, soft_wrap=True)
    for reason in row["reasons"]:
        console.print(Text.assemble("  ", one_line(reason)), soft_wrap=True)
    gone = missing_files(warehouse, release_of(row))
    if gone:
        console.print(f"  {counted(len(gone), 'file')} of it deleted since: it can no longer be read or served")
    versions = _table("table", "version")
    for entry in row["table_versions"]:
        versions.add_row(entry["table"], str(entry["version"]))
    metrics = _table("measure", "value")
    for entry in row["metrics"]:
        metrics.add_row(entry["name"], f"{entry['value']:g}")
    console.print(versions)
    console.print(metrics)


def show_diff(warehouse: Warehouse, before: str, after: str, console: Console) -> None:
    """Print how the lists of one release differ from another's, by cause.

    Raises PipelineError for a release that was never published, or is no longer retained.
    """
    rows = [release_row(warehouse, release_id) for release_id in (before, after)]
    one, other = (_readable(warehouse, row) for row in rows)
    found = release_diff(warehouse, one, other)
    console.print(f"[bold]{one.release_id}[/] to [bold]{other.release_id}[/]")
    told = {
        "nights": _arrow(one.as_of, other.as_of),
        "encoder": _arrow(one.encoder_id, other.encoder_id),
        "settings": ", ".join(map(str, changed_settings(configured(warehouse, one), configured(warehouse, other))))
        or "the same",
        "users": _arrow(*found.users),
    }
    for name, value in told.items():
        console.print(Text.assemble(f"  {name:<9} ", one_line(value)), soft_wrap=True)
    table = _table("because of", "users", *CHANGES)
    for cause in CAUSES:
        _add(table, cause, found.lists[cause], list(found.rows[cause].values()))
    totals = [sum(found.rows[cause][change] for cause in CAUSES) for change in CHANGES]
    _add(table, "all", sum(found.lists.values()), totals, "bold")
    console.print(table)


def _readable(warehouse: Warehouse, row: Row) -> Release:
    release = release_of(row)
    if "user_item_topk" not in release.versions:
        raise PipelineError(f"release {release.release_id} was {row['verdict']}: readers have never seen it")
    if missing_files(warehouse, release):
        raise PipelineError(f"release {release.release_id} is no longer kept: files of it were deleted")
    return release


def _arrow(one: str | int | date, other: str | int | date) -> str:
    return f"{one}, the same" if one == other else f"{one} to {other}"


def _add(table: Table, name: str, users: int, counts: list[int], style: str = "") -> None:
    table.add_row(name, *(f"{count:,}" for count in (users, *counts)), style=style)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        numeric = column in ("version", "value", "users", *CHANGES)
        table.add_column(column, no_wrap=True, justify="right" if numeric else "left")
    return table
