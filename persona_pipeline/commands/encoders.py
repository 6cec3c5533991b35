"""Compare, pin and promote encoders: `persona-pipeline encoders ...`."""

from pathlib import Path
from typing import Annotated

import typer

from persona_pipeline.commands.options import (
    OverrideReasonOption,
    WarehouseOption,
    console,
)
from persona_pipeline.core.errors import PipelineError

encoders = typer.Typer(no_args_is_help=True, help="Which encoder is served, how others compare, and overrides of it.")


@encoders.command("list")
def list_encoders(warehouse: WarehouseOption = Path("warehouse")) -> None:
    """Show every encoder trained: when, how it was judged, and in what its settings differ from those served."""
    from persona_pipeline.commands.encoders_console import show_encoders

    show_encoders(warehouse, console)


@encoders.command()
def compare(
    served: Annotated[str, typer.Argument(help="Encoder to be replaced.")],
    candidate: Annotated[str, typer.Argument(help="Encoder to replace it.")],
    warehouse: WarehouseOption = Path("warehouse"),
    config: Annotated[str, typer.Option(help="Profile or YAML file: gate_margin, min_liked_rating.")] = "local",
) -> None:
    """Refit the settings of two encoders without each user's newest liked interaction, and judge how they predict it."""
    from persona_pipeline.commands.encoders_console import show_comparison

    show_comparison(warehouse, served, candidate, config, console)


@encoders.command()
def promote(
    encoder_id: Annotated[str, typer.Argument(help="As `encoders list` shows it.")],
    warehouse: WarehouseOption = Path("warehouse"),
    reason: OverrideReasonOption = None,
) -> None:
    """Have the next night serve this encoder instead of the last release's; after that the policy of retraining goes on."""
    from persona_pipeline.commands.encoders_console import override_encoder

    override_encoder(warehouse, "promote", encoder_id, reason, console)


@encoders.command()
def pin(
    encoder_id: Annotated[str | None, typer.Argument(help="As `encoders list` shows it.")] = None,
    warehouse: WarehouseOption = Path("warehouse"),
    reason: OverrideReasonOption = None,
    off: Annotated[bool, typer.Option("--off", help="End the pin.")] = False,
) -> None:
    """Have nights serve this encoder and train none until the pin is ended."""
    from persona_pipeline.commands.encoders_console import override_encoder

    if off == (encoder_id is not None):
        raise PipelineError("encoders pin: expected an encoder id, or --off to end the pin")
    override_encoder(warehouse, "unpin" if off else "pin", encoder_id or "", reason, console)
