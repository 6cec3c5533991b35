"""Personas, evidence and interactions, rendered as text, and the items' profiles to `text_embeddings`: whatever it lacks."""

from typing import Any

from persona_pipeline.encoder.inputs import evidence_texts, liked_interaction_texts, persona_texts
from persona_pipeline.encoder.profiles import ensure_profiles
from persona_pipeline.text_embeddings import Embedder
from persona_pipeline.warehouse import Warehouse


def embed_everything(warehouse: Warehouse, embedder: Embedder, min_liked_rating: float) -> dict[str, Any]:
    """Embed every text an encoder over this base will read tonight; how many there are, and how many were new."""
    interactions = liked_interaction_texts(warehouse, min_liked_rating)
    kinds = (persona_texts(warehouse), evidence_texts(warehouse), interactions)
    texts = {text for rows in kinds for text in rows["text"].to_pylist()}
    embedder.ensure(sorted(texts))
    new_profiles = ensure_profiles(warehouse, embedder)
    return {"texts": len(texts), "embedded": embedder.embedded, "new_profiles": new_profiles}
