"""Rank items by popularity for users without a usable history, and stage `default_topk` for the audit."""

import argparse
from typing import Any

from jobs.runner import run
from persona_pipeline.encoder.user_and_persona_vectors import encoder_of_run
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.runs.context import RunContext
from persona_pipeline.score.default import default_topk


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Rank by popularity and write the staged table beside the published table."""
    encoder = encoder_of_run(context.warehouse, context.encoder_id())
    before = context.parent.versions["default_topk"] if context.parent else None
    rows = default_topk(context.warehouse, encoder, context.config.user_item_topk, context.as_of, before)
    return {"candidate": staged_tables(context.warehouse).replace("default_topk", rows).as_dict()}


if __name__ == "__main__":
    run("default_topk", job)
