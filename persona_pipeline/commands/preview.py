"""Preview a configuration on part of a warehouse before a run adopts it: `quarantine replay` and `personas diff`.

Both read the response cache, print which requests are left, and send these only when told to.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import typer
from rich.console import Console

from persona_pipeline.commands.personas_console import show_comparison
from persona_pipeline.config import PipelineConfig, load_config
from persona_pipeline.core.errors import ConfigError, PipelineError
from persona_pipeline.core.terminal import counted
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.evaluate.human.records import read_sample
from persona_pipeline.evaluate.human.truth import known_truth, truth_of
from persona_pipeline.extract import stages
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.extract.llm.extractor import LlmExtractor
from persona_pipeline.extract.llm.plan import require_affordable, show_plan
from persona_pipeline.extract.quarantine import refusals
from persona_pipeline.extract_preview.comparison import Side, by_item, compared, costs_of, sampled
from persona_pipeline.extract_preview.replay import replayed, show_replayed, subjects_of
from persona_pipeline.extract_preview.trial import STAGES, ExtractionTrial, Subjects, plan_trial, run_trial
from persona_pipeline.publish.releases import read_parent, read_released, served
from persona_pipeline.warehouse import Warehouse

SERVED = "served"


def replay(
    root: Path,
    source: str,
    extractor: str | None,
    stage: str | None,
    reason: str | None,
    subjects: Sequence[str],
    limit: int | None,
    yes: bool,
    console: Console,
) -> None:
    """Extract refused subjects again, and print the new outcomes.

    Raises ConfigError for an extractor without an LLM or an unknown stage, PipelineError where nothing is quarantined.
    """
    if stage is not None and stage not in STAGES:
        raise ConfigError(f"--stage {stage}: expected one of {', '.join(STAGES)}")
    loaded = _loaded(source, extractor, "quarantine replay")
    warehouse = Warehouse(root.resolve())
    refused = refusals(warehouse, STAGES if stage is None else (stage,), reason, subjects, limit)
    if not refused:
        raise PipelineError(
            "quarantine replay: nothing of that kind is quarantined; `persona-pipeline quarantine list` shows what is"
        )
    about = subjects_of(refused)
    _agree(warehouse, {source: loaded}, about, yes, console)
    trial = _run(warehouse, loaded, about)
    show_replayed(replayed(refused, trial), trial, console)


def diff(
    root: Path,
    source: str,
    against: str,
    extractor: str | None,
    sample: int,
    wanted: Sequence[str],
    judged: Sequence[Path],
    yes: bool,
    console: Console,
) -> None:
    """Print how the personas of a sample of items differ between two configurations, or from those of the served release.

    `judged` are files of verdicts: the share of true personas is shown among those with a verdict.

    Raises ConfigError for an extractor without an LLM, PipelineError for an item without evidence.
    """
    truth = known_truth([record for path in judged for record in read_sample(path)])
    loaded = _loaded(source, extractor, "personas diff")
    others = None if against == SERVED else _loaded(against, extractor, "personas diff")
    warehouse = Warehouse(root.resolve())
    items = sampled(warehouse, sample, wanted)
    about: Subjects = {"review_aspects": set(), "item_summaries": set(), "item_personas": set(items)}
    if others is None:
        theirs = Side(SERVED, by_item(_released(warehouse, items)))
        _agree(warehouse, {source: loaded}, about, yes, console)
    else:
        _agree(warehouse, {source: loaded, against: others}, about, yes, console)
        theirs = _side(warehouse, against, others, about)
    ours = _side(warehouse, source, loaded, about)
    titles = stages.of_items(warehouse, items).query("SELECT item_id, title FROM items", ["items"]).to_pylist()
    embedder = Embedder(loaded.text_embeddings, warehouse)
    found = compared(items, ours, theirs, embedder, loaded.extraction.match_threshold)
    further = [("judged true", lambda side: str(truth_of(side.rows, truth)))] if truth else []
    show_comparison(found, {row["item_id"]: row["title"] for row in titles}, console, further)
    console.print(
        "[dim]the answers are kept in llm_calls; a night that adopts a configuration does not pay for them again[/]"
    )


def _released(warehouse: Warehouse, items: Sequence[str]) -> list[dict[str, Any]]:
    wanted = ", ".join("'" + item.replace("'", "''") + "'" for item in items)
    found: list[dict[str, Any]] = read_released(warehouse, "item_personas", where=f"item_id IN ({wanted})").to_pylist()
    return found


def _loaded(source: str, extractor: str | None, command: str) -> PipelineConfig:
    """Load a configuration whose extractor is an LLM."""
    loaded = load_config(source, {"extraction": {"extractor": extractor}} if extractor else {})
    if loaded.extraction.extractor == "embedded":
        raise ConfigError(
            f"{command}: the extractor of {source} is embedded, which asks no LLM; give --extractor vllm or openai"
        )
    return loaded


def _agree(
    warehouse: Warehouse, configs: Mapping[str, PipelineConfig], about: Subjects, yes: bool, console: Console
) -> None:
    """Print the requests of each side, and have new ones confirmed. Raises typer.Abort."""
    new: set[str] = set()  # what two configurations share is asked once
    for source, config in configs.items():
        with _extractor(warehouse, config, engine=False) as (extractor, _):
            plan = plan_trial(warehouse, extractor, about, _summaries(warehouse))
        console.print(f"{source}: {extractor.client.backend.model}", markup=False)
        show_plan(plan, config.extraction.llm, console)
        require_affordable(plan, config.extraction.llm.token_ceiling)
        new |= plan.keys
    console.print()
    if new and not yes:
        typer.confirm(f"Ask {counted(len(new), 'new request')}?", abort=True)


def _side(warehouse: Warehouse, source: str, config: PipelineConfig, about: Subjects) -> Side:
    trial = _run(warehouse, config, about)
    llm = config.extraction.llm
    personas = by_item(trial.extracted["item_personas"].made.to_pylist())
    return Side(source, personas, costs_of(trial, warehouse), llm.tokens_per_second, llm.cost_per_hour)


def _run(warehouse: Warehouse, config: PipelineConfig, about: Subjects) -> ExtractionTrial:
    with _extractor(warehouse, config, engine=True) as (extractor, embedder):
        return run_trial(
            warehouse, extractor, about, _summaries(warehouse), config.extraction, _night(warehouse), embedder
        )


@contextmanager
def _extractor(
    warehouse: Warehouse, config: PipelineConfig, *, engine: bool
) -> Iterator[tuple[LlmExtractor, Embedder]]:
    """Yield a fresh extractor: the cache snapshot is taken at construction, and two engines rarely fit on one GPU.

    On exit, by error too, its responses are committed and its engine is stopped.
    """
    embedder = Embedder(config.text_embeddings, warehouse)
    extractor = make_extractor(config.extraction, embedder, warehouse, _night(warehouse), engine=engine)
    assert isinstance(extractor, LlmExtractor)
    try:
        yield extractor, embedder
    finally:
        extractor.close()


def _summaries(warehouse: Warehouse) -> pa.Table:
    return read_parent(warehouse, "item_summaries", served(warehouse))


def _night(warehouse: Warehouse) -> date:
    """Night under which the responses are cached: the served one; before the first, the day after the newest review."""
    release = served(warehouse)
    if release is not None:
        return release.as_of
    newest: date | None = warehouse.query(
        "SELECT (max(reviewed_at) AT TIME ZONE 'UTC')::DATE + 1 AS night FROM reviews", ["reviews"]
    )["night"][0].as_py()
    if newest is None:
        raise PipelineError(f"no reviews in {warehouse.root} yet; `make nightly` runs a night")
    return newest
