"""Extract `item_personas` from evidence and summaries, for items with changed evidence only; refused outputs to `quarantine`."""

import argparse
from typing import Any

import pyarrow.compute as pc

from jobs.runner import engine_option, run
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.extract import stages
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.extract.published import with_published
from persona_pipeline.publish.releases import read_parent
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import check_input


def job(context: RunContext, arguments: argparse.Namespace) -> dict[str, Any]:
    """Extract personas where the evidence changed since the parent release, with stable ids; keep all other personas."""
    config, warehouse = context.config.extraction, context.warehouse
    embedder = Embedder(context.config.text_embeddings, warehouse)
    if config.published:
        check_input(context.row, ("published",))
    others = make_extractor(config, embedder, warehouse, context.as_of, engine=arguments.engine)
    extractor = with_published(others, config, embedder)
    parent = read_parent(warehouse, "item_personas", context.parent)
    found = stages.item_personas(warehouse, extractor, config, parent, context.as_of, embedder)
    extractor.close()
    written = stages.write_stage(warehouse, "item_personas", found)
    return {
        "items": len(found.asked) + len(pc.unique(found.kept["item_id"])),
        "extracted": len(found.asked),
        "personas": pc.sum(pc.equal(found.made["status"], "current")).as_py() or 0,
        "retired": pc.sum(pc.equal(found.made["retired_as_of"], context.as_of)).as_py() or 0,
        "refused": len(found.refused),
        "embedded": embedder.embedded,
        **extractor.usage(),
        "written": [result.as_dict() for result in written],
    }


if __name__ == "__main__":
    run("item_personas", job, engine_option)
