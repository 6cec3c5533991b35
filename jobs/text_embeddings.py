"""Personas and interactions, rendered as text, to `text_embeddings`: whatever the cache does not hold yet."""

import argparse
from typing import Any

from jobs.runner import Night, run
from persona_pipeline.encoder.inputs import liked_interaction_texts, persona_texts
from persona_pipeline.text_embeddings import Embedder


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Render every text the encoder will read tonight and embed the new ones."""
    interactions = liked_interaction_texts(night.warehouse, night.config.training_pairs.min_liked_rating)
    texts = {*persona_texts(night.warehouse)["text"].to_pylist(), *interactions["text"].to_pylist()}
    embedder = Embedder(night.config.text_embeddings, night.warehouse)
    embedder.ensure(sorted(texts))
    return {"texts": len(texts), "embedded": embedder.embedded}


if __name__ == "__main__":
    run("text_embeddings", job)
