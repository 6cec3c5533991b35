"""Send one shard of the run's LLM requests through one engine, and write the responses to the response cache, `llm_calls`."""

import argparse
from typing import Any

from jobs.runner import run, shard_option
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.extract.published import with_published
from persona_pipeline.publish.releases import read_parent
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import check_input


def job(context: RunContext, arguments: argparse.Namespace) -> dict[str, Any]:
    """Request what the response cache lacks for the shard's items."""
    from persona_pipeline.extract.llm.extractor import LlmExtractor
    from persona_pipeline.extract.llm.shards import ask_shard, items_of_shard

    if context.config.extraction.published:
        check_input(context.row, ("published",))
    config, warehouse = context.config, context.warehouse
    items = items_of_shard(warehouse, arguments.shard)
    embedder = Embedder(config.text_embeddings, warehouse)
    extractor = make_extractor(config.extraction, embedder, warehouse, context.as_of)
    assert isinstance(extractor, LlmExtractor), "the plan makes shards for no other"
    ask_shard(
        warehouse,
        extractor,
        with_published(extractor, config.extraction, embedder),
        config.extraction,
        read_parent(warehouse, "item_personas", context.parent),
        read_parent(warehouse, "item_summaries", context.parent),
        items,
    )
    extractor.close()
    return {"shard": arguments.shard, "items": len(items), "embedded": embedder.embedded, **extractor.usage()}


if __name__ == "__main__":
    run("extraction_shard", job, shard_option)
