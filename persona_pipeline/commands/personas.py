"""Compare and sample personas: `persona-pipeline personas ...`."""

from pathlib import Path
from typing import Annotated

import typer

from persona_pipeline.commands.options import (
    LlmOption,
    WarehouseOption,
    YesOption,
    console,
)

personas = typer.Typer(no_args_is_help=True, help="Personas under one configuration and another.")


@personas.command()
def diff(
    config: Annotated[str, typer.Option(help="Profile (local, gpu) or YAML file to try.")],
    against: Annotated[str, typer.Option(help="Another one; or served: the release readers see.")] = "served",
    warehouse: WarehouseOption = Path("warehouse"),
    extractor: LlmOption = None,
    sample: Annotated[int, typer.Option(min=1, help="How many items, always the same ones.")] = 20,
    item: Annotated[list[str] | None, typer.Option(help="This item instead; may be given again.")] = None,
    judged: Annotated[
        list[Path] | None, typer.Option(help="File of `personas sample` with verdicts; may be given again.")
    ] = None,
    yes: YesOption = False,
) -> None:
    """Compare two configurations on a sample of items before a backfill: quality, cost, and the personas themselves."""
    from persona_pipeline.commands import preview

    preview.diff(warehouse, config, against, extractor, sample, item or [], judged or [], yes, console)


@personas.command("sample")
def sample_to_judge(
    output: Annotated[Path, typer.Option(help="File to write, JSON lines; must not exist.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many, always the same ones.")] = 60,
    explanations: Annotated[bool, typer.Option(help="Explanations of recommendations instead of personas.")] = False,
    seed: Annotated[str, typer.Option(help="Another word draws another sample.")] = "",
    warehouse: WarehouseOption = Path("warehouse"),
) -> None:
    """Write personas of the served release with their quotes, to be judged: fill in `verdict`, then `personas truth`."""
    from persona_pipeline.evaluate.human.records import write_sample
    from persona_pipeline.evaluate.human.sampling import sample_explanations, sample_personas
    from persona_pipeline.warehouse import Warehouse

    draw = sample_explanations if explanations else sample_personas
    written = write_sample(draw(Warehouse(warehouse.resolve()), n, seed), output)
    console.print(f"{written} written to {output}; set the fields of `verdict` to true or false", markup=False)


@personas.command()
def truth(
    judged: Annotated[list[Path], typer.Argument(help="Files of `personas sample` with verdicts.")],
) -> None:
    """Report the share of judged personas and explanations that are true, with 95% intervals, by source, label and prompt."""
    from persona_pipeline.evaluate.human.records import read_sample
    from persona_pipeline.evaluate.human.truth import show_truth

    show_truth([record for path in judged for record in read_sample(path)], console)
