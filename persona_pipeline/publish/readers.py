"""Recommendations as a reader gets them: from the tables at the versions of the served release."""

from rich.console import Console
from rich.markup import escape

from persona_pipeline.publish.releases import read_released, served
from persona_pipeline.warehouse import Warehouse


def show_top(warehouse: Warehouse, user_id: str, k: int, console: Console) -> None:
    """Print a user's recommendations; those for anyone where the user has none. Raises PipelineError before any release."""
    release = served(warehouse)
    quoted = user_id.replace("'", "''")
    rows = read_released(
        warehouse, "user_item_topk", release, where=f"user_id = '{quoted}' AND rank <= {k}"
    ).to_pylist()
    if not rows:
        console.print(f"[dim]no history to recommend to {escape(user_id)} from; what most people like:[/]")
        rows = read_released(warehouse, "default_topk", release, where=f"rank <= {k}").to_pylist()
    for row in rows:
        title = row["item_title"] or row["item_id"]
        console.print(
            f"[bold]{row['rank']:>3}  {escape(title)}[/]  [dim]{escape(row['item_id'])}  {row['score']:.3f}[/]"
        )
        console.print(f"     {escape(row['explanation'])}", soft_wrap=True)
