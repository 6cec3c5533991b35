"""Extract `item_personas` from evidence and summaries, for items with changed evidence only; refused outputs to `quarantine`."""

import argparse
from typing import Any

from jobs.runner import engine_option, run
from persona_pipeline.extract import by_key
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.extraction import extraction_task
from persona_pipeline.runs.opening import check_input


def job(context: RunContext, arguments: argparse.Namespace) -> dict[str, Any]:
    """Extract personas where the evidence changed since the parent release, with stable ids; keep all other personas."""
    config = context.config.extraction
    if config.published:
        check_input(context.row, ("published",))
    with extraction_task(context, "item_personas", engine=arguments.engine) as (keyed, extractors):
        parent = context.parent_version("item_personas")
        found = by_key.item_personas(keyed, extractors, config, parent, context.as_of)
        return {"engine": keyed.engine.name, **found.as_dict()}


if __name__ == "__main__":
    run("item_personas", job, engine_option)
