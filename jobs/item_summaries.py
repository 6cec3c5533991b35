"""Summarise each item into `item_summaries`, from its metadata or else from its evidence reviews."""

import argparse
from typing import Any

from jobs.runner import engine_option, run
from persona_pipeline.extract import by_key
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.extraction import extraction_task


def job(context: RunContext, arguments: argparse.Namespace) -> dict[str, Any]:
    """Summarise items without a summary; keep all other summaries."""
    with extraction_task(context, "item_summaries", engine=arguments.engine) as (keyed, extractors):
        found = by_key.item_summaries(keyed, extractors, context.parent_version("item_summaries"))
        return {"engine": keyed.engine.name, **found.as_dict()}


if __name__ == "__main__":
    run("item_summaries", job, engine_option)
