"""`persona-pipeline plan`: the configured LLM extractor and a warehouse to the plan of a night."""

from datetime import date
from pathlib import Path

from rich.console import Console

from persona_pipeline.config import load_config, parse_as_of
from persona_pipeline.contracts import load_contract
from persona_pipeline.errors import ConfigError
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.publish.releases import parent_of, served
from persona_pipeline.text_embeddings import Embedder
from persona_pipeline.warehouse import Warehouse


def plan_warehouse(
    root: Path,
    source: str,
    extractor: str,
    as_of: str | None,
    tokens_per_second: float,
    cost_per_hour: float,
    console: Console,
) -> None:
    """Print the plan. Raises ConfigError for an extractor that asks nobody."""
    config = load_config(source, {"extraction": {"extractor": extractor}})
    if config.extraction.extractor == "embedded":
        raise ConfigError("plan --extractor embedded: it asks no LLM; give vllm or openai")
    from persona_pipeline.extract.llm.extractor import LlmExtractor
    from persona_pipeline.extract.llm.plan import plan_night, show_plan

    warehouse = Warehouse(root.resolve())
    release = parent_of(warehouse, parse_as_of(as_of)) if as_of else served(warehouse)
    schema = load_contract("item_personas").arrow_schema()
    parent = schema.empty_table()
    if release:
        parent = warehouse.read("item_personas", version=release.versions["item_personas"]).cast(schema)
    asker = make_extractor(config.extraction, Embedder(config.text_embeddings, warehouse), warehouse, date.max)
    assert isinstance(asker, LlmExtractor)
    show_plan(plan_night(warehouse, asker, parent), tokens_per_second, cost_per_hour, console)
    show_judge(config.extraction.llm.judged_pairs, console)


def show_judge(judged_pairs: int, console: Console) -> None:
    """What comes on top: which pairs are judged rests on personas still to be written, so that only a bound is known."""
    if judged_pairs:
        console.print(f"[dim]persona_choices: up to {judged_pairs:,} requests more (extraction.llm.judged_pairs)[/]")
