"""Personas, evidence and interactions, rendered as text, and the items' profiles to `text_embeddings`: whatever it lacks."""

import argparse
from typing import Any

from jobs.runner import Night, run
from persona_pipeline.encoder.inputs import evidence_texts, liked_interaction_texts, persona_texts
from persona_pipeline.encoder.profiles import ensure_profiles
from persona_pipeline.text_embeddings import Embedder


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Render every text the encoder will read tonight and embed the new ones."""
    interactions = liked_interaction_texts(night.warehouse, night.config.training_pairs.min_liked_rating)
    kinds = (persona_texts(night.warehouse), evidence_texts(night.warehouse), interactions)
    texts = {text for rows in kinds for text in rows["text"].to_pylist()}
    embedder = Embedder(night.config.text_embeddings, night.warehouse)
    embedder.ensure(sorted(texts))
    new_profiles = ensure_profiles(night.warehouse, embedder)
    return {"texts": len(texts), "embedded": embedder.embedded, "new_profiles": new_profiles}


if __name__ == "__main__":
    run("text_embeddings", job)
