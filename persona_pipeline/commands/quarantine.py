"""Inspect and replay refused extractor outputs (`quarantine`): `persona-pipeline quarantine ...`."""

from pathlib import Path
from typing import Annotated

import typer

from persona_pipeline.commands.options import (
    LlmOption,
    ReasonOption,
    StageOption,
    WarehouseOption,
    YesOption,
    console,
)

quarantine = typer.Typer(no_args_is_help=True, help="What extraction refused, why, and what it would be now.")


@quarantine.command("list")
def list_refused(
    warehouse: WarehouseOption = Path("warehouse"),
    stage: StageOption = None,
    reason: ReasonOption = None,
    limit: Annotated[int, typer.Option(min=0, help="How many to show.")] = 20,
) -> None:
    """Show how much extraction refused, by stage and reason, and the first refusals."""
    from persona_pipeline.commands.quarantine_console import show_refusals
    from persona_pipeline.warehouse import Warehouse

    show_refusals(Warehouse(warehouse), stage, reason, limit, console)


@quarantine.command()
def show(
    subject: Annotated[str, typer.Argument(help="The review or item.")],
    warehouse: WarehouseOption = Path("warehouse"),
    stage: StageOption = None,
) -> None:
    """Show everything needed to judge one refusal: the reason, the text, every cached reply, the item's personas."""
    from persona_pipeline.commands.quarantine_console import show_refusal
    from persona_pipeline.warehouse import Warehouse

    show_refusal(Warehouse(warehouse), subject, stage, console)


@quarantine.command()
def replay(
    config: Annotated[str, typer.Option(help="Profile (local, gpu) or YAML file to ask under.")],
    warehouse: WarehouseOption = Path("warehouse"),
    extractor: LlmOption = None,
    stage: StageOption = None,
    reason: ReasonOption = None,
    subject: Annotated[list[str] | None, typer.Option(help="Review or item; may be given again.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Refused outputs at most; default: all.")] = None,
    yes: YesOption = False,
) -> None:
    """Extract refused subjects again and show the new outcomes; the tables stay as they are."""
    from persona_pipeline.commands import preview

    preview.replay(warehouse, config, extractor, stage, reason, subject or [], limit, yes, console)
