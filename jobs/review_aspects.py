"""Extract `review_aspects` from evidence reviews and recent interactions: four aspects each, with supporting sentences."""

import argparse
from typing import Any

from jobs.runner import engine_option, run
from persona_pipeline.extract import by_key
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.extraction import extraction_task


def job(context: RunContext, arguments: argparse.Namespace) -> dict[str, Any]:
    """Extract aspects of reviews without a row; keep all other rows."""
    with extraction_task(context, "review_aspects", engine=arguments.engine) as (keyed, extractors):
        return {"engine": keyed.engine.name, **by_key.review_aspects(keyed, extractors).as_dict()}


if __name__ == "__main__":
    run("review_aspects", job, engine_option)
