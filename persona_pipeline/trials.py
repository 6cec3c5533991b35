"""Configurations tried on part of a warehouse before a night adopts them: `quarantine replay` and `personas diff`.

Both look at what is on record, say what is left to ask, and ask it only when told to.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import typer
from rich.console import Console

from persona_pipeline.config import ExtractionConfig, load_config
from persona_pipeline.errors import ConfigError, PipelineError
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.extract.llm.comparison import Side, by_item, compared, costs_of, sampled
from persona_pipeline.extract.llm.extractor import LlmExtractor
from persona_pipeline.extract.llm.plan import require_affordable, show_plan
from persona_pipeline.extract.llm.replay import replayed, show_replayed, subjects_of
from persona_pipeline.extract.llm.show_comparison import show_comparison
from persona_pipeline.extract.llm.trial import STAGES, Subjects, Trial, plan_trial, run_trial
from persona_pipeline.extract.quarantined import refusals
from persona_pipeline.publish.releases import inherited, read_released, served
from persona_pipeline.terminal import counted
from persona_pipeline.text_embeddings import Embedder
from persona_pipeline.warehouse import Warehouse

SERVED = "served"


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A configuration, ready to be asked under."""

    source: str
    config: ExtractionConfig
    embedder: Embedder
    extractor: LlmExtractor


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
    """Ask again about what was refused, and print what it would be now.

    Raises ConfigError for an extractor that asks nobody or a stage there is not, PipelineError where nothing is quarantined.
    """
    if stage is not None and stage not in STAGES:
        raise ConfigError(f"--stage {stage}: expected one of {', '.join(STAGES)}")
    warehouse = Warehouse(root.resolve())
    refused = [row for row in refusals(warehouse, stage, reason, subjects, limit) if row["stage"] in STAGES]
    if not refused:
        raise PipelineError(
            "quarantine replay: nothing of that kind is quarantined; `persona-pipeline quarantine list`"
        )
    with _candidate(warehouse, source, extractor, "quarantine replay") as candidate:
        about = subjects_of(refused)
        _agree(warehouse, [candidate], about, yes, console)
        trial = _run(warehouse, candidate, about)
    show_replayed(replayed(refused, trial), trial, console)


def diff(
    root: Path,
    source: str,
    against: str,
    extractor: str | None,
    sample: int,
    wanted: Sequence[str],
    yes: bool,
    console: Console,
) -> None:
    """Print how the personas of a sample of items differ between two configurations, or from those of the served release.

    Raises ConfigError for an extractor that asks nobody, PipelineError for an item without evidence.
    """
    warehouse = Warehouse(root.resolve())
    items = sampled(warehouse, sample, wanted)
    about: Subjects = {"review_aspects": set(), "item_summaries": set(), "item_personas": set(items)}
    with _candidate(warehouse, source, extractor, "personas diff") as ours:
        config, embedder = ours.config, ours.embedder
        if against == SERVED:
            released = read_released(warehouse, "item_personas").to_pylist()
            theirs = Side(SERVED, by_item([row for row in released if row["item_id"] in set(items)]))
            _agree(warehouse, [ours], about, yes, console)
        else:
            with _candidate(warehouse, against, extractor, "personas diff") as other:
                _agree(warehouse, [ours, other], about, yes, console)
                theirs = _side(warehouse, other, about)
        left = _side(warehouse, ours, about)
    titles = warehouse.query("SELECT item_id, title FROM items", ["items"]).to_pylist()
    found = compared(items, left, theirs, embedder, config.match_threshold)
    show_comparison(found, {row["item_id"]: row["title"] for row in titles}, console)
    console.print(
        "[dim]the answers are kept in llm_calls; a night that adopts a configuration does not pay for them again[/]"
    )


@contextmanager
def _candidate(warehouse: Warehouse, source: str, extractor: str | None, command: str) -> Iterator[_Candidate]:
    """Whatever ends it, its answers are kept and its engine is gone."""
    loaded = load_config(source, {"extraction": {"extractor": extractor}} if extractor else {})
    config = loaded.extraction
    if config.extractor == "embedded":
        raise ConfigError(
            f"{command}: the extractor of {source} is embedded, which asks no LLM; give --extractor vllm or openai"
        )
    embedder = Embedder(loaded.text_embeddings, warehouse)
    made = make_extractor(config, embedder, warehouse, _night(warehouse))
    assert isinstance(made, LlmExtractor)
    try:
        yield _Candidate(source, config, embedder, made)
    finally:
        made.close()


def _agree(
    warehouse: Warehouse, candidates: Sequence[_Candidate], about: Subjects, yes: bool, console: Console
) -> None:
    """Print what each would ask, and have it confirmed where anything is new. Raises typer.Abort."""
    new = 0
    for candidate in candidates:
        plan = plan_trial(warehouse, candidate.extractor, about, _summaries(warehouse))
        console.print(f"{candidate.source}: {candidate.extractor.asker.backend.model}", markup=False)
        show_plan(plan, candidate.config.llm, console)
        require_affordable(plan, candidate.config.llm.token_ceiling)
        new += plan.total.new
    console.print()
    if new and not yes:
        typer.confirm(f"Ask {counted(new, 'new request')}?", abort=True)


def _side(warehouse: Warehouse, candidate: _Candidate, about: Subjects) -> Side:
    trial = _run(warehouse, candidate, about)
    llm = candidate.config.llm
    personas = by_item(trial.extracted["item_personas"].made.to_pylist())
    return Side(candidate.source, personas, costs_of(trial, warehouse), llm.tokens_per_second, llm.cost_per_hour)


def _run(warehouse: Warehouse, candidate: _Candidate, about: Subjects) -> Trial:
    trial = run_trial(
        warehouse,
        candidate.extractor,
        about,
        _summaries(warehouse),
        candidate.config,
        _night(warehouse),
        candidate.embedder,
    )
    candidate.extractor.close()  # two engines seldom fit one GPU
    return trial


def _summaries(warehouse: Warehouse) -> pa.Table:
    return inherited(warehouse, "item_summaries", served(warehouse))


def _night(warehouse: Warehouse) -> date:
    """When the answers count as asked: on the served night, before the first one on the day after the newest review."""
    release = served(warehouse)
    if release is not None:
        return release.as_of
    newest: date | None = warehouse.query(
        "SELECT (max(reviewed_at) AT TIME ZONE 'UTC')::DATE + 1 AS night FROM reviews", ["reviews"]
    )["night"][0].as_py()
    if newest is None:
        raise PipelineError(f"no reviews in {warehouse.root} yet; `make nightly` runs a night")
    return newest
