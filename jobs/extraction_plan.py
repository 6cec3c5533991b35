"""What tonight would ask an LLM, against its ceiling, and how the asking is split over shards: one `extraction_shard` each."""

import argparse
from dataclasses import asdict
from typing import Any

from jobs.runner import Night, run
from persona_pipeline.planning import plan_extraction


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Plan, show, refuse what is too dear, and split the rest. Nothing where no LLM extracts."""
    if night.config.extraction.extractor == "embedded":
        return {"shards": []}
    from persona_pipeline.extract.llm.plan import require_affordable
    from persona_pipeline.extract.llm.shards import assign, write_shards

    llm = night.config.extraction.llm
    plan = plan_extraction(night.warehouse, night.config, night.parent, night.as_of)
    require_affordable(plan, llm.token_ceiling)
    shards = assign(plan.tokens_of_item, llm.max_shards, llm.shard_tokens)
    path = write_shards(night.warehouse, night.as_of, shards)
    total = plan.total
    return {
        "changed": total.changed,
        "new_requests": total.new,
        "prompt_tokens": total.prompt_tokens,
        "reply_tokens": total.reply_tokens,
        "stages": {stage.stage: asdict(stage) for stage in plan.stages},
        "shards": [f" --shard {number}" for number in range(len(shards))],
        "assignment": str(path),
    }


if __name__ == "__main__":
    run("extraction_plan", job)
