"""Texts of personas, evidence, interactions and items' content, and items' profiles, to `text_embeddings`, as far as they lack."""

from typing import Any

from persona_pipeline.config import EncodersConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.item_embeddings import ensure_profiles
from persona_pipeline.encoder.text_inputs import content_texts, evidence_texts, liked_interaction_texts, persona_texts
from persona_pipeline.warehouse import Warehouse


def embed_everything(
    warehouse: Warehouse, embedder: Embedder, min_liked_rating: float, settings: EncodersConfig | None
) -> dict[str, Any]:
    """Embed every text an encoder over this base will read tonight; how many there are, and how many were new.

    `settings` are the encoder's, by whose weights items' profiles are made; None where it is not trained yet.
    """
    interactions = liked_interaction_texts(warehouse, min_liked_rating)
    kinds = (persona_texts(warehouse), evidence_texts(warehouse), content_texts(warehouse), interactions)
    texts = {text for rows in kinds for text in rows["text"].to_pylist()}
    embedder.ensure(sorted(texts))
    new_profiles = ensure_profiles(warehouse, embedder, settings) if settings else 0
    return {"texts": len(texts), "embedded": embedder.embedded, "new_profiles": new_profiles}
