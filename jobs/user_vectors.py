"""Encode liked histories into `user_vectors` by the run's encoder."""

import argparse
from typing import Any

from jobs.runner import run
from persona_pipeline.encoder.user_and_persona_vectors import encoder_of_run, user_vectors
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.keyed_task import keyed_task


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Encode changed histories; drop vectors of other encoders."""
    encoder = encoder_of_run(context.warehouse, context.encoder_id())
    liked = context.config.training_pairs.min_liked_rating
    with keyed_task(context, "user_vectors") as keyed:
        return {
            "encoder_id": encoder.encoder_id,
            "engine": keyed.engine.name,
            **user_vectors(keyed, encoder, liked).as_dict(),
        }


if __name__ == "__main__":
    run("user_vectors", job)
