"""Encode current personas into `persona_vectors` by the run's encoder."""

import argparse
from typing import Any

from jobs.runner import run
from persona_pipeline.encoder.user_and_persona_vectors import encoder_of_run, persona_vectors
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.keyed_task import keyed_task


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Encode changed personas; drop vectors of other encoders."""
    encoder = encoder_of_run(context.warehouse, context.encoder_id())
    with keyed_task(context, "persona_vectors") as keyed:
        return {
            "encoder_id": encoder.encoder_id,
            "engine": keyed.engine.name,
            **persona_vectors(keyed, encoder).as_dict(),
        }


if __name__ == "__main__":
    run("persona_vectors", job)
