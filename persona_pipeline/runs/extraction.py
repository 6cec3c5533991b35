"""Open what runs a stage of extraction: its engine, and its extractors, here and on other machines."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from typing import Literal

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.extract.by_key import Extractors
from persona_pipeline.extract.embedded.shop import Shop, read_shop
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.extract.published import with_published
from persona_pipeline.extract.types import PersonaExtractor
from persona_pipeline.keyed import Keyed
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.keyed_task import keyed_task
from persona_pipeline.warehouse import Warehouse

Task = Literal["review_aspects", "item_summaries", "item_personas"]


@contextmanager
def extraction_task(context: RunContext, task: Task, *, engine: bool) -> Iterator[tuple[Keyed, Extractors]]:
    """Open a stage's engine and extractors; with `engine` an LLM may be asked, where the stage runs in this process."""
    config, warehouse = context.config.extraction, context.warehouse
    embedder = Embedder(context.config.text_embeddings, warehouse)
    with keyed_task(context, task) as keyed:
        is_here = keyed.engine.name == "local"
        shop = None
        if task == "item_personas" and config.extractor == "embedded" and not is_here:
            shop = read_shop(
                warehouse
            )  # of the whole shop: once, not once a bucket; the extractor of this process holds it
        make = partial(_made, config, embedder, warehouse, context.as_of, shop, ready=task == "item_personas")
        here = make(engine=engine) if is_here else None
        yield keyed, Extractors(make, embedder, here)


def _made(
    config: ExtractionConfig,
    embedder: Embedder,
    warehouse: Warehouse,
    as_of: date,
    shop: Shop | None,
    *,
    ready: bool,
    engine: bool,
) -> PersonaExtractor:
    """The configured extractor; of personas that are `ready`-made behind those, where a file of them is named."""
    others = make_extractor(config, embedder, warehouse, as_of, engine=engine, shop=shop)
    return with_published(others, config, embedder) if ready else others
