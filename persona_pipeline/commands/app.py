"""Run nights of recommendations and inspect their results: `persona-pipeline ...`. Airflow itself runs `python -m jobs.<table>`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from persona_pipeline.commands.encoders import encoders
from persona_pipeline.commands.erase import erase
from persona_pipeline.commands.options import (
    ConfigOption,
    ExtractorOption,
    InteractionsOption,
    ItemsOption,
    ReviewsOption,
    SourceOption,
    WarehouseOption,
    console,
)
from persona_pipeline.commands.personas import personas
from persona_pipeline.commands.quarantine import quarantine
from persona_pipeline.commands.recommendations import top, why
from persona_pipeline.commands.releases import releases
from persona_pipeline.commands.runs import runs
from persona_pipeline.core.errors import PipelineError

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)

app.add_typer(encoders, name="encoders")
app.add_typer(runs, name="runs")
app.add_typer(quarantine, name="quarantine")
app.add_typer(personas, name="personas")
app.add_typer(releases, name="releases")


@app.command()
def nightly(
    warehouse: WarehouseOption = Path("warehouse"),
    source: SourceOption = "synthetic",
    reviews: Annotated[
        Path | None, typer.Option(help="File or folder of reviews; the bundled demo by default.")
    ] = None,
    items: ItemsOption = None,
    as_of: Annotated[
        str | None, typer.Option(help="UTC date; default: the day after the newest review or event.")
    ] = None,
    config: ConfigOption = "local",
    extractor: ExtractorOption = None,
    interactions: InteractionsOption = None,
) -> None:
    """Run one night through Airflow and show what it recommends."""
    from persona_pipeline.commands.nightly_console import show_published
    from persona_pipeline.orchestrate.airflow import NightlyRequest, run_night

    request = NightlyRequest(warehouse, source, reviews, items, as_of, config, extractor, interactions)
    seconds = run_night(request, console)
    show_published(warehouse.resolve(), seconds, console)


@app.command()
def backtest(
    source: SourceOption,
    reviews: ReviewsOption = None,
    items: ItemsOption = None,
    warehouse: Annotated[Path, typer.Option(help="Folder for the backtest's own warehouses.")] = Path("backtest"),
    split: Annotated[
        str, typer.Option(help="leave-last-out, or the first day of the test as YYYY-MM-DD.")
    ] = "leave-last-out",
    config: ConfigOption = "local",
    extractor: ExtractorOption = None,
    cache: Annotated[
        Path | None, typer.Option(help="Warehouse whose text_embeddings and llm_calls are used and added to.")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Tune and fit collaborative models on the same interactions.")] = True,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every model that draws at random.")] = 1,
    interactions: InteractionsOption = None,
) -> None:
    """Run the jobs on part of the reviews and events and score them, and baselines, against the rest."""
    from persona_pipeline.backtest import BacktestRequest, run_backtest

    request = BacktestRequest(
        warehouse, source, reviews, items, split, config, extractor, cache, baselines, seeds, interactions=interactions
    )
    run_backtest(request, console)


app.command()(erase)
app.command()(top)
app.command()(why)


@app.command()
def plan(
    warehouse: WarehouseOption = Path("warehouse"),
    config: ConfigOption = "local",
    extractor: Annotated[str, typer.Option(help="vllm or openai.")] = "vllm",
    as_of: Annotated[str | None, typer.Option(help="Night to plan; default: the one after the served release.")] = None,
) -> None:
    """Show what a night would ask the LLM, from the tables as they are: requests, tokens, minutes, cost."""
    from persona_pipeline.extract_preview.estimate import plan_warehouse

    plan_warehouse(warehouse, config, extractor, as_of, console)


@app.command()
def doctor(warehouse: WarehouseOption = Path("warehouse")) -> None:
    """Find and mend what is wrong with a warehouse's caches."""
    from persona_pipeline.warehouse.doctor import mend

    mend(warehouse.resolve(), console)


@app.command()
def migrate(
    warehouse: WarehouseOption = Path("warehouse"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Convert a warehouse that an earlier version made; what was published stays as it is."""
    from persona_pipeline.runs.migrations import migrate as convert

    convert(warehouse.resolve(), console, dry_run)


@app.command()
def synthetic(
    folder: Annotated[Path, typer.Argument(help="Folder to make; empty or not there.")],
    reviews: Annotated[int, typer.Option(help="Lines of reviews.")] = 1_000_000,
    users: Annotated[int, typer.Option(help="People who write them.")] = 100_000,
    items: Annotated[int, typer.Option(help="Items of the catalogue.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn.")] = 0,
    config: ConfigOption = "local",
) -> None:
    """Make a large, skewed, dirty input whose counts are known (truth.json), to try a machine out."""
    from persona_pipeline.config import load_config
    from persona_pipeline.sources.synthetic.large import large_config
    from persona_pipeline.sources.synthetic.large.files import write
    from persona_pipeline.spark.session import LONG, session

    sizes = large_config(n_reviews=reviews, n_users=users, n_items=items, seed=seed)
    # It reads nothing, but minutes of arithmetic are worth what a long task is given.
    write(session(load_config(config).spark, "synthetic", reads=LONG), sizes, folder.resolve())
    console.print(f"{reviews:,} lines of reviews in {folder}; SOURCE=jsonl AS_OF={sizes.as_of}", soft_wrap=True)


@app.command()
def evaluate_ranking(
    candidates: Annotated[Path, typer.Option(help="JSON lines: user_id, results of item_id, best first.")],
    ground_truth: Annotated[Path, typer.Option(help="JSON lines: user_id, item_id.")],
    reviews: Annotated[
        Path | None, typer.Option(help="Training interactions, JSON lines: user_id, item_id. Adds the slices.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Judge a ranking in the paper's published formats: HIT, MRR, NDCG, recall and precision, with intervals."""
    from persona_pipeline.evaluate.published_rankings import evaluate_published
    from persona_pipeline.evaluate.ranking_figures import show_ranking

    ranking = evaluate_published(candidates, ground_truth, reviews)
    if as_json:
        typer.echo(ranking.model_dump_json())
    else:
        show_ranking(ranking, console)


@app.command()
def tables(
    output: Annotated[Path | None, typer.Option(help="Markdown file to write; default: standard output.")] = None,
) -> None:
    """Document every table from its contract."""
    from persona_pipeline.commands.tables import tables_reference
    from persona_pipeline.contracts import table_names

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
        _fail(str(error))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(("persona_pipeline", "jobs")):
            raise
        _fail(
            f"this needs {error.name}, which comes with `pip install 'persona-pipeline[nightly]'`; reading releases does not"
        )


def _fail(told: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]error[/]: {escape(told)}", markup=True)
    sys.exit(1)
