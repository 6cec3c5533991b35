"""Explain a run's verdict from its row of `releases`: decision, reasons, served release, audit measures."""

import json
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from persona_pipeline.publish.audit import FailedCheck
from persona_pipeline.publish.releases import published
from persona_pipeline.report.tables import Row, RunTables
from persona_pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Reason:
    """One failed check, or, without a measure, a decision by a person."""

    text: str
    measure: str = ""
    found: str = ""
    expected: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of the audit."""

    name: str
    value: float
    failed: bool


def reasons(release_row: Row) -> list[Reason]:
    """List failed checks, the rule before the numbers, then what people decided about the release."""
    checks = [FailedCheck(**check) for check in release_row.get("failed_checks") or ()]
    failed = [
        Reason(check.rule, check.measure, "nothing" if check.value is None else f"{check.value:g}", check.expected)
        for check in checks
    ]
    return failed + [Reason(told) for told in release_row["reasons"][len(checks) :]]


def measures(release_row: Row) -> list[tuple[str, list[Measure]]]:
    """Group the audit's measures by table, tables with a failure first."""
    failed = {reason.measure for reason in reasons(release_row)}
    by_table = []
    for table, metrics in groupby(
        sorted(release_row["metrics"], key=lambda m: str(m["name"])), key=lambda m: str(m["name"]).split(".")[0]
    ):
        by_table.append((table, [_measure(metric, failed) for metric in metrics]))
    return sorted(by_table, key=lambda entry: not any(measure.failed for measure in entry[1]))


def still_served(warehouse: Warehouse, as_of: date) -> Row | None:
    """The release served after this night: the newest release published up to it."""
    releases = [release for release in published(warehouse) if release.as_of <= as_of]
    return {"release_id": releases[-1].release_id, "as_of": releases[-1].as_of} if releases else None


def encoder(tables: RunTables, encoder_id: str | None) -> Row | None:
    """The encoder's row, with its tuned settings as `chosen`; None where there is none."""
    columns = [
        "encoder_id",
        "as_of",
        "base_model",
        "text_version",
        "dimensions",
        "verdict",
        "reasons",
        "settings",
        "pair_count",
        "metrics",
        "data_versions",
    ]
    selected = f"SELECT {', '.join(columns)} FROM encoders WHERE encoder_id = $encoder"
    found = tables.rows(selected, ["encoders"], {"encoder": encoder_id})
    return {**found[0], "chosen": _chosen(str(found[0]["settings"]))} if found else None


def _chosen(settings: str) -> Row:
    given = json.loads(settings)
    return {name: given[name] for name in given.get("tuned", ())}


def _measure(metric: dict[str, Any], failed: set[str]) -> Measure:
    name = str(metric["name"])
    return Measure(name.partition(".")[2] or name, metric["value"], name in failed)
