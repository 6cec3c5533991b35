"""Summarise each item into `item_summaries`, from its metadata or else from its evidence reviews."""

import argparse
from typing import Any

from jobs.runner import engine_option, run
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.extract import stages
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.publish.releases import read_parent
from persona_pipeline.runs.context import RunContext


def job(context: RunContext, arguments: argparse.Namespace) -> dict[str, Any]:
    """Summarise items without a summary; keep all other summaries."""
    config, warehouse = context.config, context.warehouse
    embedder = Embedder(config.text_embeddings, warehouse)
    extractor = make_extractor(config.extraction, embedder, warehouse, context.as_of, engine=arguments.engine)
    found = stages.item_summaries(warehouse, extractor, read_parent(warehouse, "item_summaries", context.parent))
    extractor.close()
    written = stages.write_stage(warehouse, "item_summaries", found)
    return {
        "items": found.rows.num_rows,
        "extracted": len(found.asked),
        "refused": len(found.refused),
        "embedded": embedder.embedded,
        **extractor.usage(),
        "written": [result.as_dict() for result in written],
    }


if __name__ == "__main__":
    run("item_summaries", job, engine_option)
