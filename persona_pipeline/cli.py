"""`persona-pipeline ...`: what people type. Airflow itself runs `python -m jobs.<table>`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from persona_pipeline.errors import PipelineError
from persona_pipeline.release_commands import WarehouseOption, console, releases

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)

quarantine = typer.Typer(no_args_is_help=True, help="What extraction refused, why, and what it would be now.")
personas = typer.Typer(no_args_is_help=True, help="Personas under one configuration and another.")
runs = typer.Typer(no_args_is_help=True, help="Runs of the pipeline: from what, what they took, why one failed.")
encoders = typer.Typer(no_args_is_help=True, help="Which encoder is served, how others compare, and overrides of it.")
app.add_typer(encoders, name="encoders")
app.add_typer(runs, name="runs")
app.add_typer(quarantine, name="quarantine")
app.add_typer(personas, name="personas")
app.add_typer(releases, name="releases")

ReleaseOption = Annotated[str | None, typer.Option(help="A release by id; default: the one that is served.")]
StageOption = Annotated[str | None, typer.Option(help="review_aspects, item_summaries or item_personas.")]
ReasonOption = Annotated[str | None, typer.Option(help="As `quarantine list` counts them, for example ungrounded.")]
LlmOption = Annotated[str | None, typer.Option(help="vllm or openai; default: as the configuration says.")]
OverrideReasonOption = Annotated[str | None, typer.Option("--reason", help="Why; kept with it.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Ask new requests without confirmation.")]


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
def backtest(
    source: Annotated[str, typer.Option(help="Adapter: amazon2018, jsonl or synthetic.")],
    reviews: Annotated[Path, typer.Option(help="File or folder of reviews.")],
    items: Annotated[Path | None, typer.Option(help="File or folder of item metadata.")] = None,
    warehouse: Annotated[Path, typer.Option(help="Folder for the backtest's own warehouses.")] = Path("backtest"),
    split: Annotated[
        str, typer.Option(help="leave-last-out, or the first day of the test as YYYY-MM-DD.")
    ] = "leave-last-out",
    config: Annotated[str, typer.Option(help="Profile (local, gpu) or YAML file.")] = "local",
    extractor: Annotated[str | None, typer.Option(help="embedded, vllm or openai.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Warehouse whose text_embeddings and llm_calls are used and added to.")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Tune and fit collaborative models on the same interactions.")] = True,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every model that draws at random.")] = 1,
) -> None:
    """Run the jobs on part of the reviews and score them, and baselines, against the rest."""
    from persona_pipeline.backtest import Request, run_backtest

    request = Request(warehouse, source, reviews, items, split, config, extractor, cache, baselines, seeds)
    run_backtest(request, console)


@app.command()
def top(
    user_id: Annotated[str, typer.Argument(help="The user.")],
    warehouse: WarehouseOption = Path("warehouse"),
    k: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    release: ReleaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array instead.")] = False,
) -> None:
    """Show a user's recommendations, with reasons."""
    from persona_pipeline.publish import Recommendations
    from persona_pipeline.publish import answers_shown as shown

    recommendations = Recommendations(warehouse, release)
    if as_json:
        typer.echo(shown.as_json(recommendations.top(user_id, k)))
    else:
        shown.show_top(recommendations, user_id, k, console)


@app.command()
def why(
    user_id: Annotated[str, typer.Argument(help="The user.")],
    item_id: Annotated[str, typer.Argument(help="The item; it need not be in the user's list.")],
    warehouse: WarehouseOption = Path("warehouse"),
    release: ReleaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object instead.")] = False,
) -> None:
    """Show what is behind a recommendation: persona, shares of the score, quotes, reviews, prompt and model, release."""
    from persona_pipeline.publish import Recommendations
    from persona_pipeline.publish import answers_shown as shown

    recommendations = Recommendations(warehouse, release)
    if as_json:
        typer.echo(shown.as_json(recommendations.why(user_id, item_id)))
    else:
        shown.show_why(recommendations, user_id, item_id, console)


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


@quarantine.command("list")
def list_refused(
    warehouse: WarehouseOption = Path("warehouse"),
    stage: StageOption = None,
    reason: ReasonOption = None,
    limit: Annotated[int, typer.Option(min=0, help="How many to show.")] = 20,
) -> None:
    """Show how much extraction refused, by stage and reason, and the first refusals."""
    from persona_pipeline.extract.quarantined import show_refusals
    from persona_pipeline.warehouse import Warehouse

    show_refusals(Warehouse(warehouse), stage, reason, limit, console)


@quarantine.command()
def show(
    subject: Annotated[str, typer.Argument(help="The review or item.")],
    warehouse: WarehouseOption = Path("warehouse"),
    stage: StageOption = None,
) -> None:
    """Show all there is to judge one refusal by: the reason, the text, every reply on record, the item's personas."""
    from persona_pipeline.extract.quarantined import show_refusal
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
    """Ask again about what was refused, and show what it would be now; the tables stay as they are."""
    from persona_pipeline import trials

    trials.replay(warehouse, config, extractor, stage, reason, subject or [], limit, yes, console)


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
    from persona_pipeline import trials

    trials.diff(warehouse, config, against, extractor, sample, item or [], judged or [], yes, console)


@personas.command("sample")
def sample_to_judge(
    output: Annotated[Path, typer.Option(help="File to write, JSON lines; must not exist.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many, always the same ones.")] = 60,
    explanations: Annotated[bool, typer.Option(help="Explanations of recommendations instead of personas.")] = False,
    seed: Annotated[str, typer.Option(help="Another word draws another sample.")] = "",
    warehouse: WarehouseOption = Path("warehouse"),
) -> None:
    """Write personas of the served release with their quotes, to be judged: fill in `verdict`, then `personas truth`."""
    from persona_pipeline.judging.records import write_sample
    from persona_pipeline.judging.sampling import sample_explanations, sample_personas
    from persona_pipeline.warehouse import Warehouse

    draw = sample_explanations if explanations else sample_personas
    written = write_sample(draw(Warehouse(warehouse.resolve()), n, seed), output)
    console.print(f"{written} written to {output}; set the fields of `verdict` to true or false", markup=False)


@personas.command()
def truth(
    judged: Annotated[list[Path], typer.Argument(help="Files of `personas sample` with verdicts.")],
) -> None:
    """Report how much of what was judged is true, with 95% intervals, by source, label and prompt."""
    from persona_pipeline.judging.records import read_sample
    from persona_pipeline.judging.truth import show_truth

    show_truth([record for path in judged for record in read_sample(path)], console)


@encoders.command("list")
def list_encoders(warehouse: WarehouseOption = Path("warehouse")) -> None:
    """Show every encoder trained: when, how it was judged, and in what its settings differ from those served."""
    from persona_pipeline.promotion.shown import show_encoders

    show_encoders(warehouse, console)


@encoders.command()
def compare(
    served: Annotated[str, typer.Argument(help="Encoder to be replaced.")],
    candidate: Annotated[str, typer.Argument(help="Encoder to replace it.")],
    warehouse: WarehouseOption = Path("warehouse"),
    config: Annotated[str, typer.Option(help="Profile or YAML file: gate_margin, min_liked_rating.")] = "local",
) -> None:
    """Refit the settings of two encoders without each user's newest liked interaction, and judge how they foretell it."""
    from persona_pipeline.promotion.shown import show_comparison

    show_comparison(warehouse, served, candidate, config, console)


@encoders.command()
def promote(
    encoder_id: Annotated[str, typer.Argument(help="As `encoders list` shows it.")],
    warehouse: WarehouseOption = Path("warehouse"),
    reason: OverrideReasonOption = None,
) -> None:
    """Have the next night serve this encoder instead of the last release's; after that the policy of retraining goes on."""
    from persona_pipeline.promotion.shown import override_encoder

    override_encoder(warehouse, "promote", encoder_id, reason, console)


@encoders.command()
def pin(
    encoder_id: Annotated[str | None, typer.Argument(help="As `encoders list` shows it.")] = None,
    warehouse: WarehouseOption = Path("warehouse"),
    reason: OverrideReasonOption = None,
    off: Annotated[bool, typer.Option("--off", help="End the pin.")] = False,
) -> None:
    """Have nights serve this encoder and train none until the pin is ended."""
    from persona_pipeline.promotion.shown import override_encoder

    if off == (encoder_id is not None):
        raise PipelineError("encoders pin: expected an encoder id, or --off to end the pin")
    override_encoder(warehouse, "unpin" if off else "pin", encoder_id or "", reason, console)


@runs.command(name="list")
def list_runs(
    warehouse: WarehouseOption = Path("warehouse"),
    limit: Annotated[int, typer.Option(min=1, help="Of the last ones.")] = 14,
) -> None:
    """Show the last runs, newest first: outcome, minutes, tokens, and what went wrong."""
    from persona_pipeline.runs.shown import show_runs

    show_runs(warehouse.resolve(), limit, console)


@runs.command(name="show")
def one_run(
    run_id: Annotated[str | None, typer.Argument(help="As `runs list` shows it; the newest by default.")] = None,
    warehouse: WarehouseOption = Path("warehouse"),
) -> None:
    """Show one run: what it was made from, and each attempt at each task with what it read, wrote and took."""
    from persona_pipeline.runs.shown import show_run

    show_run(warehouse.resolve(), run_id, console)


@runs.command()
def close(
    run_id: Annotated[str, typer.Argument(help="As `runs list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the run.")],
    warehouse: WarehouseOption = Path("warehouse"),
) -> None:
    """End a run by hand that nothing will go on with, so that another may begin."""
    from persona_pipeline.runs.shown import end_run

    end_run(warehouse.resolve(), run_id, reason, console)


@app.command()
def doctor(warehouse: WarehouseOption = Path("warehouse")) -> None:
    """Find and mend what is wrong with a warehouse's caches."""
    from persona_pipeline.doctor import mend

    mend(warehouse.resolve(), console)


@app.command()
def migrate(
    warehouse: WarehouseOption = Path("warehouse"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Convert a warehouse that an earlier version made; what was published stays as it is."""
    from persona_pipeline.migrations import migrate as convert

    convert(warehouse.resolve(), console, dry_run)


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
    from persona_pipeline.evaluate.published import evaluate_published
    from persona_pipeline.evaluate.ranking import show_ranking

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
