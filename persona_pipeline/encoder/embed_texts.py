"""Embed the texts an encoder reads into `text_embeddings` where missing: personas, evidence, interactions, item fields."""

from typing import Any

from persona_pipeline.config import EncodersConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.item_embeddings import ensure_profiles
from persona_pipeline.encoder.text_inputs import content_texts, evidence_texts, liked_interaction_texts, persona_texts
from persona_pipeline.warehouse import Warehouse


def embed_everything(
    warehouse: Warehouse, embedder: Embedder, min_liked_rating: float, settings: EncodersConfig | None
) -> dict[str, Any]:
    """Embed every text that an encoder over this base will read in the run; returns the numbers of texts and of new ones.

    `settings` are the encoder's, whose weights define the item embeddings; None where it is not trained yet.
    """
    interactions = liked_interaction_texts(warehouse, min_liked_rating)
    kinds = (persona_texts(warehouse), evidence_texts(warehouse), content_texts(warehouse), interactions)
    texts = {text for rows in kinds for text in rows["text"].to_pylist()}
    embedder.ensure(sorted(texts))
    new_profiles = ensure_profiles(warehouse, embedder, settings) if settings else 0
    return {"texts": len(texts), "embedded": embedder.embedded, "new_profiles": new_profiles}
