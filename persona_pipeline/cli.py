"""`persona-pipeline ...`: what people type. Airflow itself runs `python -m jobs.<table>`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from persona_pipeline.errors import PipelineError

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
console = Console(highlight=False)

WarehouseOption = Annotated[Path, typer.Option(help="Folder of the Delta tables.")]


@app.command()
def nightly(
    warehouse: WarehouseOption = Path("warehouse"),
    source: Annotated[str, typer.Option(help="Adapter: amazon2018, jsonl or synthetic.")] = "synthetic",
    reviews: Annotated[
        Path | None, typer.Option(help="File or folder of reviews; the bundled demo by default.")
    ] = None,
    items: Annotated[Path | None, typer.Option(help="File or folder of item metadata.")] = None,
    as_of: Annotated[str | None, typer.Option(help="UTC date; default: the day after the newest review.")] = None,
    config: Annotated[str, typer.Option(help="Profile (local, gpu) or YAML file.")] = "local",
    extractor: Annotated[str | None, typer.Option(help="embedded, vllm or openai.")] = None,
) -> None:
    """Run one night through Airflow and show what it recommends."""
    from persona_pipeline.nightly import Request, run_night

    run_night(Request(warehouse, source, reviews, items, as_of, config, extractor), console)


@app.command()
def top(
    user_id: Annotated[str, typer.Argument(help="The user.")],
    warehouse: WarehouseOption = Path("warehouse"),
    k: Annotated[int, typer.Option(help="How many.")] = 10,
) -> None:
    """Show a user's recommendations, with reasons, from the served release."""
    from persona_pipeline.publish.readers import show_top
    from persona_pipeline.warehouse import Warehouse

    show_top(Warehouse(warehouse), user_id, k, console)


@app.command()
def plan(
    warehouse: WarehouseOption = Path("warehouse"),
    config: Annotated[str, typer.Option(help="Profile (local, gpu) or YAML file.")] = "local",
    extractor: Annotated[str, typer.Option(help="vllm or openai.")] = "vllm",
    as_of: Annotated[str | None, typer.Option(help="Night to plan; default: the one after the served release.")] = None,
) -> None:
    """Show what a night would ask the LLM, from the tables as they are: requests, tokens, minutes, cost."""
    from persona_pipeline.planning import plan_warehouse

    plan_warehouse(warehouse, config, extractor, as_of, console)


@app.command()
def tables(
    output: Annotated[Path | None, typer.Option(help="Markdown file to write; default: standard output.")] = None,
) -> None:
    """Document every table from its contract."""
    from persona_pipeline.contracts import table_names
    from persona_pipeline.reference import tables_reference

    text = tables_reference(table_names())
    if output:
        output.write_text(text, encoding="utf-8")
    else:
        typer.echo(text, nl=False)


def main() -> None:
    """Entry point: a PipelineError is shown without a traceback and ends with exit code 1."""
    try:
        app()
    except PipelineError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]error[/]: {error}", markup=True)
        sys.exit(1)
