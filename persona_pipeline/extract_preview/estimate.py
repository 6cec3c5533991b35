"""Estimate a run's LLM requests from the configured extractor and a warehouse, for the DAG and `persona-pipeline plan`."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from persona_pipeline.config import PipelineConfig, load_config, parse_as_of
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.extract.published import with_published
from persona_pipeline.publish.releases import Release, parent_of, read_parent, served
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from persona_pipeline.extract.llm.plan import ExtractionPlan

_WIDTH = 132  # of a log, where there is no terminal


def plan_extraction(
    warehouse: Warehouse, config: PipelineConfig, parent: Release | None, as_of: date, console: Console | None = None
) -> "ExtractionPlan":
    """Make the plan and print it, on stderr by default. `parent` is the release the run starts from."""
    from persona_pipeline.extract.llm.extractor import LlmExtractor
    from persona_pipeline.extract.llm.plan import plan_requests, show_judge, show_plan

    extraction = config.extraction
    embedder = Embedder(config.text_embeddings, warehouse)
    extractor = make_extractor(extraction, embedder, warehouse, as_of, engine=False)
    assert isinstance(extractor, LlmExtractor)
    personas, summaries = (read_parent(warehouse, table, parent) for table in ("item_personas", "item_summaries"))
    whole = with_published(extractor, extraction, embedder)
    plan = plan_requests(warehouse, extractor, personas, summaries, extraction.refresh_share, whole)
    console = console or Console(stderr=True, width=_WIDTH)
    show_plan(plan, extraction.llm, console)
    show_judge(extraction.llm.judged_pairs, console)
    return plan


def plan_warehouse(root: Path, source: str, extractor: str, as_of: str | None, console: Console) -> None:
    """Print the plan of a night, by default the one after the served release.

    Raises ConfigError for an extractor without an LLM.
    """
    config = load_config(source, {"extraction": {"extractor": extractor}})
    if config.extraction.extractor == "embedded":
        raise ConfigError("plan --extractor embedded: it asks no LLM; give vllm or openai")
    warehouse = Warehouse(root.resolve())
    parent = parent_of(warehouse, parse_as_of(as_of)) if as_of else served(warehouse)
    plan_extraction(warehouse, config, parent, date.max, console)
