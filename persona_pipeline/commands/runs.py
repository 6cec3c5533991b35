"""Inspect and end runs: `persona-pipeline runs ...`."""

from pathlib import Path
from typing import Annotated

import typer

from persona_pipeline.commands.options import (
    WarehouseOption,
    console,
)

runs = typer.Typer(no_args_is_help=True, help="Runs of the pipeline: from what, what they took, why one failed.")


@runs.command(name="list")
def list_runs(
    warehouse: WarehouseOption = Path("warehouse"),
    limit: Annotated[int, typer.Option(min=1, help="Of the last ones.")] = 14,
) -> None:
    """Show the last runs, newest first: outcome, minutes, tokens, and what went wrong."""
    from persona_pipeline.commands.runs_console import show_runs

    show_runs(warehouse.resolve(), limit, console)


@runs.command(name="show")
def one_run(
    run_id: Annotated[str | None, typer.Argument(help="As `runs list` shows it; the newest by default.")] = None,
    warehouse: WarehouseOption = Path("warehouse"),
) -> None:
    """Show one run: what it was made from, and each attempt at each task with what it read, wrote and took."""
    from persona_pipeline.commands.runs_console import show_run

    show_run(warehouse.resolve(), run_id, console)


@runs.command()
def close(
    run_id: Annotated[str, typer.Argument(help="As `runs list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the run.")],
    warehouse: WarehouseOption = Path("warehouse"),
) -> None:
    """End an abandoned run by hand, so that another may begin."""
    from persona_pipeline.commands.runs_console import end_run

    end_run(warehouse.resolve(), run_id, reason, console)
