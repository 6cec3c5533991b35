"""Render a run's report as one self-contained HTML file under `_reports/`, without scripts or external resources.

Review text is data: autoescape is on in every template, and the page's own policy forbids scripts should that fail.
The same tables and summaries give the same bytes: no clock is read.
"""

import math
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from persona_pipeline.config import PipelineConfig
from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.report import flow, personas, refusals, users, verdict
from persona_pipeline.report.tables import RunTables
from persona_pipeline.warehouse import Warehouse

REPORTS = "_reports"

_NOT_KNOWN = "-"


def render_report(
    warehouse: Warehouse, as_of: date, release_row: dict[str, Any], config: PipelineConfig, summaries: flow.Summaries
) -> str:
    """Render the page of one night. `release_row` is its row of `releases`, `summaries` the tasks' summaries, by task."""
    tables = RunTables(warehouse, release_row)
    summaries = flow.run_counts(summaries, release_row)
    counts = flow.count_rows(tables)
    chosen = users.sampled_users(warehouse, release_row, config.report.users)
    page = {
        "as_of": as_of,
        "release": release_row,
        "reasons": verdict.reasons(release_row),
        "served": verdict.still_served(warehouse, as_of),
        "measures": verdict.measures(release_row),
        "encoder": verdict.encoder(tables, release_row["encoder_id"]),
        "summaries": summaries,
        "counts": counts,
        "flow": flow.flow(summaries, counts, release_row),
        "seconds": sum(summary.get("seconds") or 0.0 for summary in summaries.values()),
        "refused_input": refusals.refused_input(tables),
        "quarantined": refusals.quarantined(tables),
        "languages": refusals.languages(tables),
        "not_yet": refusals.not_yet(summaries),
        "unavailable": refusals.unavailable(summaries),
        "sources": personas.by_source(tables, as_of),
        "per_item": personas.per_item(tables),
        "without_reviews": personas.without_reviews(tables),
        "items": personas.sample_items(tables),
        "coverage": users.coverage(tables, as_of),
        "users": users.users(tables, chosen, config.training_pairs.min_liked_rating),
        "min_liked_rating": config.training_pairs.min_liked_rating,
        "defaults": users.defaults(tables),
    }
    return _environment().get_template("page.html.jinja2").render(page)


def write_report(
    warehouse: Warehouse, as_of: date, release_row: dict[str, Any], config: PipelineConfig, summaries: flow.Summaries
) -> Path:
    """Render and write `_reports/<as_of>.html` of the warehouse, atomically. Returns the path."""
    text = render_report(warehouse, as_of, release_row, config, summaries)
    path = warehouse.root / REPORTS / f"{as_of.isoformat()}.html"
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "duration": _duration, "words": _words, "hundredths": _hundredths}
    return environment


def _number(value: float | None) -> str:
    """Format a number: 1,234 for whole numbers, four significant digits for others."""
    if value is None or not math.isfinite(value):
        return _NOT_KNOWN
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return _NOT_KNOWN
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _hundredths(value: float) -> str:
    """Format a length in an SVG: two decimals are finer than a pixel."""
    return f"{value:.2f}"
