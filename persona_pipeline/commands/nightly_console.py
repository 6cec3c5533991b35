"""Print the tables, report and sample recommendations of the served release after a nightly run."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from persona_pipeline.commands.recommendations_console import show_top
from persona_pipeline.publish.releases import Release, read_released, served
from persona_pipeline.serving import Recommendations
from persona_pipeline.warehouse import Warehouse

_SHOWN_USERS = 3
_SHOWN_ITEMS = 3


def show_published(root: Path, seconds: float, console: Console) -> None:
    """Print the served release and its first recommendations."""
    warehouse = Warehouse(root)
    release = served(warehouse)
    assert release is not None
    console.print(f"\n[bold green]Published {release.release_id}[/] in {seconds:.0f} s")
    console.print(f"tables  {root}", soft_wrap=True)
    console.print(f"report  {root / '_reports' / f'{release.as_of}.html'}\n", soft_wrap=True)
    for line in _why_trained(warehouse, release):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    users = read_released(warehouse, "user_item_topk", release, where="rank = 1")
    # Spread over the table, so that the three are not neighbours in the source.
    chosen = sorted(users["user_id"].to_pylist())[:: max(1, users.num_rows // _SHOWN_USERS)][:_SHOWN_USERS]
    recommendations = Recommendations(warehouse)
    for user_id in chosen:
        console.print(f"[bold cyan]{escape(user_id)}[/]")
        show_top(recommendations, user_id, _SHOWN_ITEMS, console)
        console.print()
    console.print("More: [bold]persona-pipeline top USER[/]")


def _why_trained(warehouse: Warehouse, release: Release) -> list[str]:
    """Reasons of the encoder that the release's run trained, from `encoders`; nothing where an earlier one serves on."""
    sql = "SELECT reasons FROM encoders WHERE encoder_id = $id AND as_of = $as_of"
    found = warehouse.query(sql, ["encoders"], {"id": release.encoder_id, "as_of": release.as_of}).to_pylist()
    return [*(f"encoder: {reason}" for reason in found[0]["reasons"]), ""] if found else []
