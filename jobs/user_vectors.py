"""Encode liked histories into `user_vectors` by the run's encoder."""

import argparse
from typing import Any

from jobs.runner import run
from persona_pipeline.encoder.user_and_persona_vectors import encoder_of_run, user_vectors
from persona_pipeline.runs.context import RunContext


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Encode changed histories; drop vectors of other encoders."""
    encoder = encoder_of_run(context.warehouse, context.encoder_id())
    min_liked_rating = context.config.training_pairs.min_liked_rating
    rows, encoded = user_vectors(context.warehouse, encoder, min_liked_rating)
    result = context.warehouse.replace("user_vectors", rows)
    return {
        "vectors": rows.num_rows,
        "encoded": encoded,
        "encoder_id": encoder.encoder_id,
        "written": [result.as_dict()],
    }


if __name__ == "__main__":
    run("user_vectors", job)
