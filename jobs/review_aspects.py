"""Extract `review_aspects` from evidence reviews and recent interactions: four aspects each, with supporting sentences."""

import argparse
from typing import Any

from jobs.runner import engine_option, run
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.extract import stages
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.runs.context import RunContext


def job(context: RunContext, arguments: argparse.Namespace) -> dict[str, Any]:
    """Extract aspects of reviews without a row; keep all other rows."""
    warehouse = context.warehouse
    embedder = Embedder(context.config.text_embeddings, warehouse)
    extractor = make_extractor(context.config.extraction, embedder, warehouse, context.as_of, engine=arguments.engine)
    found = stages.review_aspects(warehouse, extractor)
    extractor.close()
    written = stages.write_stage(warehouse, "review_aspects", found)
    return {
        "reviews": found.rows.num_rows,
        "extracted": len(found.asked),
        "extracted_with_aspects": sum(bool(spans) for spans in found.made["evidence"].to_pylist()),
        "refused": len(found.refused),
        "embedded": embedder.embedded,
        **extractor.usage(),
        "written": [result.as_dict() for result in written],
    }


if __name__ == "__main__":
    run("review_aspects", job, engine_option)
