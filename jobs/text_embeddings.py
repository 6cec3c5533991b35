"""Personas, evidence and interactions, rendered as text, and the items' profiles to `text_embeddings`: whatever it lacks."""

import argparse
from typing import Any

from jobs.runner import Night, run
from persona_pipeline.encoder.embedding import embed_everything
from persona_pipeline.promotion.bases import embedder_of_night


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Render every text the encoder will read tonight and embed the new ones, by the base of the encoder that stands."""
    embedder = embedder_of_night(night.warehouse, night.as_of, night.parent, night.config.text_embeddings)
    return embed_everything(night.warehouse, embedder, night.config.training_pairs.min_liked_rating)


if __name__ == "__main__":
    run("text_embeddings", job)
