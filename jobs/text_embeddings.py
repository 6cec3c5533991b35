"""Embed new texts into `text_embeddings`: personas, evidence reviews, interactions, item fields, and item embeddings."""

import argparse
from typing import Any

from jobs.runner import run
from persona_pipeline.encoder.embed_texts import embed_everything
from persona_pipeline.model_registry.base_models import embedder_of_incumbent, settings_of_incumbent
from persona_pipeline.model_registry.incumbent import incumbent_of
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.keyed_task import keyed_task


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Render every text the encoder will read in this run, and embed the new ones by the incumbent encoder's base model."""
    incumbent = incumbent_of(context.warehouse, context.overrides, context.as_of, context.parent)
    embedder = embedder_of_incumbent(context.warehouse, incumbent, context.config.text_embeddings)
    liked = context.config.training_pairs.min_liked_rating
    with keyed_task(context, "text_embeddings") as keyed:
        found = embed_everything(keyed, embedder, liked, settings_of_incumbent(incumbent))
        return {**found, "engine": keyed.engine.name}


if __name__ == "__main__":
    run("text_embeddings", job)
