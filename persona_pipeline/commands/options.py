"""Declare options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from persona_pipeline.sources.adapters import ADAPTERS

console = Console(highlight=False)

WarehouseOption = Annotated[Path, typer.Option(help="Folder of the Delta tables.")]
SourceOption = Annotated[str, typer.Option(help=f"Adapter: {', '.join(sorted(ADAPTERS))}.")]
ReviewsOption = Annotated[Path | None, typer.Option(help="File or folder of reviews; optional beside events.")]
ItemsOption = Annotated[Path | None, typer.Option(help="File or folder of item metadata.")]
InteractionsOption = Annotated[
    Path | None, typer.Option(help="File or folder of events that are not reviews; overrides interactions.file.")
]
ConfigOption = Annotated[str, typer.Option(help="Profile (local, gpu) or YAML file.")]
ExtractorOption = Annotated[str | None, typer.Option(help="embedded, vllm or openai.")]

ReleaseOption = Annotated[str | None, typer.Option(help="A release by id; default: the one that is served.")]
StageOption = Annotated[str | None, typer.Option(help="review_aspects, item_summaries or item_personas.")]
ReasonOption = Annotated[str | None, typer.Option(help="As `quarantine list` counts them, for example ungrounded.")]
LlmOption = Annotated[str | None, typer.Option(help="vllm or openai; default: as the configuration says.")]
OverrideReasonOption = Annotated[str | None, typer.Option("--reason", help="Why; kept with it.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Ask new requests without confirmation.")]
