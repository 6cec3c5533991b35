"""Read recommendations: `persona-pipeline top|why`."""

from pathlib import Path
from typing import Annotated

import typer

from persona_pipeline.commands.options import (
    ReleaseOption,
    WarehouseOption,
    console,
)


def top(
    user_id: Annotated[str, typer.Argument(help="The user.")],
    warehouse: WarehouseOption = Path("warehouse"),
    k: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    release: ReleaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array instead.")] = False,
) -> None:
    """Show a user's recommendations, with reasons."""
    from persona_pipeline.commands import recommendations_console as shown
    from persona_pipeline.serving import Recommendations

    recommendations = Recommendations(warehouse, release)
    if as_json:
        typer.echo(shown.as_json(recommendations.top(user_id, k)))
    else:
        shown.show_top(recommendations, user_id, k, console)


def why(
    user_id: Annotated[str, typer.Argument(help="The user.")],
    item_id: Annotated[str, typer.Argument(help="The item; it need not be in the user's list.")],
    warehouse: WarehouseOption = Path("warehouse"),
    release: ReleaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object instead.")] = False,
) -> None:
    """Show what is behind a recommendation: persona, shares of the score, quotes, reviews, prompt and model, release."""
    from persona_pipeline.commands import recommendations_console as shown
    from persona_pipeline.serving import Recommendations

    recommendations = Recommendations(warehouse, release)
    if as_json:
        typer.echo(shown.as_json(recommendations.why(user_id, item_id)))
    else:
        shown.show_why(recommendations, user_id, item_id, console)
