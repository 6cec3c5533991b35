"""Print `encoders`, and the comparison of two of them refitted side by side."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from persona_pipeline.config import load_config
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.core.terminal import one_line
from persona_pipeline.encoder.cf_prior import liked_interactions
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.encoder.training_data import training_data
from persona_pipeline.model_registry.overrides import Kind, give_override, in_force, read_overrides
from persona_pipeline.model_registry.registry import Row, differences, encoder_row, encoder_rows, settings_of
from persona_pipeline.publish.releases import served
from persona_pipeline.warehouse import Warehouse


def show_encoders(root: Path, console: Console) -> None:
    """Print every encoder, newest first, and in what its settings differ from those served."""
    warehouse = Warehouse(root)
    rows = encoder_rows(warehouse)
    if not rows:
        console.print(f"no encoder has been trained in {warehouse.root} yet; `make nightly` runs a night", markup=False)
        return
    release = served(warehouse)
    current = next((row for row in rows if release and row["encoder_id"] == release.encoder_id), None)
    override = in_force(read_overrides(warehouse), release.as_of + timedelta(days=1), release) if release else None
    table = _table("encoder", "as of", "verdict", "about")
    for row in rows:
        marks = ["served"] if row is current else []
        if override and override.encoder_id == row["encoder_id"]:
            marks.append("pinned" if override.override == "pin" else "next")
        about = [
            _differing(current, row),
            _judged(row),
            ", ".join(f"{metric['name']} {metric['value']:.3g}" for metric in row["metrics"]),
            f"base model {row['base_model']}",
        ]
        lines = [Text(", ".join(marks), "bold green"), *(one_line(line) for line in about)]
        cells = (row["encoder_id"], str(row["as_of"]), row["verdict"])
        table.add_row(*(one_line(cell) for cell in cells), Text("\n").join(line for line in lines if line))
    console.print(table)
    if override:
        console.print(Text.assemble("\n", one_line(override.encoder_id), " ", one_line(override.told())))


def show_comparison(root: Path, one: str, other: str, config: str, console: Console) -> None:
    """Refit the settings of two encoders on the warehouse as it is, and print the gate's verdict on the second.

    Raises PipelineError for an encoder that is not registered, or that cannot be refitted beside the other.
    """
    warehouse, settings = Warehouse(root), load_config(config)
    rows = [encoder_row(warehouse, encoder_id) for encoder_id in (one, other)]
    bases = {(row["base_model"], row["text_version"]) for row in rows}
    if len(bases) > 1 or {version for _, version in bases} != {TEXT_VERSION}:
        told = " and ".join(f"{r['encoder_id']}: {r['base_model']}, texts {r['text_version']}" for r in rows)
        raise PipelineError(
            f"encoders compare: only encoders of one base model and of text version {TEXT_VERSION} can be refitted "
            f"side by side ({told}); a backtest under each configuration compares others, see docs/evaluating.md"
        )
    first, second = (settings_of(row) for row in rows)
    changed = differences(first, second)
    if not changed:
        raise PipelineError(
            f"encoders compare: {one} and {other} were trained with the same settings, on other data; "
            "refitted at one cut-off they would be the same"
        )
    from persona_pipeline.model_selection.challenger import compare_settings

    liked = settings.training_pairs.min_liked_rating
    data = training_data(warehouse, rows[0]["base_model"], liked, first, blind=True)
    interactions = liked_interactions(warehouse, liked)
    found = compare_settings(data, interactions, first, second, settings.encoders.gate_margin)
    console.print(one_line(f"{other} has other settings than {one}: {_told(changed)}"))
    verdict, colour = ("would be promoted", "green") if found.verdict.promoted else ("would be refused", "red")
    console.print(Text.assemble((other, "bold"), " ", (verdict, colour), f" over {one}"))
    for reason in found.verdict.reasons:
        console.print(f"  {reason}", markup=False)
    if found.verdict.slices:
        table = _table("slice", "users", "difference", "95% interval", "p (Holm)")
        for part in found.verdict.slices:
            interval = f"{part.low:+.4f} to {part.high:+.4f}"
            table.add_row(
                part.name, f"{part.users:,}", f"{part.difference:+.4f}", interval, f"{part.p_value:.4f}",
                style="red" if part.worse else "",
            )  # fmt: skip
        console.print(table)


def override_encoder(root: Path, kind: Kind, encoder_id: str, reason: str | None, console: Console) -> None:
    """Write an override and print its effect on the next nights. Raises PipelineError where it cannot be obeyed."""
    store = Warehouse(root, {"job": f"encoders {kind}"})
    given = give_override(store, kind, encoder_id, reason, datetime.now(UTC))
    next_night = given.after + timedelta(days=1)
    told = {
        "pin": f"Nights from {next_night} on serve {encoder_id} and train none, until `encoders pin --off`",
        "unpin": f"Nights from {next_night} on retrain as the policy says",
        "promote": f"The next night, from {next_night} on, serves {encoder_id} instead of the last release's encoder; "
        "the nights after it retrain as the policy says",
    }[kind]
    console.print(told, markup=False)


def _judged(row: Row) -> str:
    if row["ndcg_difference"] is None:
        return ""
    return (
        f"NDCG@10 of the new settings {row['ndcg_difference']:+.4f} ({row['ndcg_low']:+.4f} to {row['ndcg_high']:+.4f})"
    )


def _differing(current: Row | None, row: Row) -> str:
    if current is None or row is current:
        return ""
    try:
        return "settings " + (_told(differences(settings_of(current), settings_of(row))) or "as served")
    except PipelineError:
        return "settings of another version of this program"


def _told(changed: Row) -> str:
    return ", ".join(f"{name} {value}" for name, value in changed.items())


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column in ("encoder", "as of", "slice", "verdict"))
    return table
