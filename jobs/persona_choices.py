"""Label a sample of liked interactions by an LLM into `persona_choices`: the persona of the item that fits the user's review."""

import argparse
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from jobs.runner import run
from persona_pipeline.contracts import load_contract
from persona_pipeline.extract.quarantine import write_refusals
from persona_pipeline.runs.context import RunContext


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Judge the night's sample of pairs; without an LLM, or with `judged_pairs` 0, the table is empty."""
    from persona_pipeline.extract.labels.pairs import pairs_to_judge
    from persona_pipeline.extract.labels.persona_judge import Choices, PersonaJudge

    config, warehouse = context.config.extraction, context.warehouse
    found, usage = Choices([], []), {}
    if config.extractor != "embedded" and config.llm.judged_pairs:
        from persona_pipeline.extract.extractors import make_client

        # Bounded by judged_pairs; the ceiling of tokens is for what a night cannot do without.
        client = make_client(config, warehouse, context.as_of, bounded=False)
        found = PersonaJudge(config.llm, client).choices(pairs_to_judge(warehouse, config.llm.judged_pairs))
        client.close()
        usage = {"llm": asdict(client.usage)}
    rows = pa.Table.from_pylist(found.rows, schema=load_contract("persona_choices").arrow_schema())
    written = [
        write_refusals(warehouse, "persona_choices", None, found.refused),
        warehouse.replace("persona_choices", rows),
    ]
    counts = {"pairs": found.pairs, "extracted": found.fresh, "refused": len(found.refused)}
    return {**counts, **usage, "written": [result.as_dict() for result in written]}


if __name__ == "__main__":
    run("persona_choices", job)
