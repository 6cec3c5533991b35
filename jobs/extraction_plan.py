"""Plan the run's LLM requests, check them against the token ceiling, and split them into shards for `extraction_shard`."""

import argparse
from dataclasses import asdict
from typing import Any

from jobs.runner import run
from persona_pipeline.extract_preview.estimate import plan_extraction
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import check_input


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Plan the requests, refuse a plan above the ceiling, write its shards to `extraction_plan`; none where no LLM extracts."""
    from persona_pipeline.extract.llm.plan import require_affordable
    from persona_pipeline.extract.llm.shards import TABLE, assign, plan_rows

    if context.config.extraction.extractor == "embedded":
        return {"shards": [], "written": [context.warehouse.replace(TABLE, plan_rows([], {})).as_dict()]}
    if context.config.extraction.published:
        check_input(context.row, ("published",))
    llm = context.config.extraction.llm
    plan = plan_extraction(context.warehouse, context.config, context.parent, context.as_of)
    require_affordable(plan, llm.token_ceiling)
    shards = assign(plan.tokens_of_item, llm.max_shards, llm.shard_tokens)
    written = context.warehouse.replace(TABLE, plan_rows(shards, plan.tokens_of_item))
    total = plan.total
    return {
        "changed": total.changed,
        "new_requests": total.new,
        "prompt_tokens": total.prompt_tokens,
        "reply_tokens": total.reply_tokens,
        "stages": {stage.stage: asdict(stage) for stage in plan.stages},
        "shards": list(range(len(shards))),
        "written": [written.as_dict()],
    }


if __name__ == "__main__":
    run("extraction_plan", job)
