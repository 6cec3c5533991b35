"""Label a sample of liked interactions by an LLM into `persona_choices`: the persona of the item that fits the user's review."""

import argparse
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from jobs.runner import run
from persona_pipeline.contracts import load_contract
from persona_pipeline.extract.quarantine import write_refusals
from persona_pipeline.extract.types import Refusal
from persona_pipeline.runs.context import RunContext


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Judge the night's sample of pairs; without an LLM, or with `judged_pairs` 0, the table is empty."""
    config, warehouse = context.config.extraction, context.warehouse
    rows: list[dict[str, Any]] = []
    refused: list[tuple[Refusal, str]] = []
    summary: dict[str, Any] = {"pairs": 0, "extracted": 0}
    if config.extractor != "embedded" and config.llm.judged_pairs:
        from persona_pipeline.extract.extractors import make_client
        from persona_pipeline.extract.labels.pairs import pairs_to_judge
        from persona_pipeline.extract.labels.persona_judge import PersonaJudge
        from persona_pipeline.extract.llm.outcomes import ANSWERED
        from persona_pipeline.extract.llm.response_models import ChoiceResponse

        pairs = pairs_to_judge(warehouse, config.llm.judged_pairs)
        # Its bound is judged_pairs; the ceiling of tokens is for what a night cannot do without.
        llm = config.llm.model_copy(update={"token_ceiling": 0})
        client = make_client(config.model_copy(update={"llm": llm}), warehouse, context.as_of)
        judged = PersonaJudge(config.llm, client).choose(pairs)
        client.close()
        for pair, outcome in judged:
            key = outcome.request.key
            if isinstance(outcome.value, ChoiceResponse):
                row = {column: pair[column] for column in ("user_id", "item_id", "review_id")}
                persona_id = pair["personas"][outcome.value.persona - 1]["persona_id"]
                rows.append({**row, "persona_id": persona_id, "reasoning": outcome.value.reasoning, "request_key": key})
            else:
                refused.append((Refusal(pair["review_id"], outcome.name, outcome.detail), key))
        fresh = sum(outcome.name in ANSWERED and not outcome.cached for _, outcome in judged)
        summary = {"pairs": len(judged), "extracted": fresh, "llm": asdict(client.usage)}
    written = [
        write_refusals(warehouse, "persona_choices", None, refused),
        warehouse.replace(
            "persona_choices", pa.Table.from_pylist(rows, schema=load_contract("persona_choices").arrow_schema())
        ),
    ]
    return {**summary, "refused": len(refused), "written": [result.as_dict() for result in written]}


if __name__ == "__main__":
    run("persona_choices", job)
