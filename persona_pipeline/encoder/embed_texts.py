"""Embed the texts an encoder reads into `text_embeddings` where missing: personas, evidence, interactions, item fields."""

from functools import partial
from typing import Any

import pyarrow as pa

from persona_pipeline.config import EncodersConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.item_embeddings import ensure_profiles
from persona_pipeline.encoder.text_inputs import (
    ITEM_SOURCES,
    USER_SOURCES,
    content_texts,
    evidence_texts,
    liked_interaction_texts,
    persona_texts,
)
from persona_pipeline.keyed import Keyed, Part, Shuffle, Source

_TEXTS = "texts"
_RENDERED = pa.schema([("text_hash", pa.string()), ("text", pa.string())])


def embed_everything(
    keyed: Keyed, embedder: Embedder, min_liked_rating: float, settings: EncodersConfig | None
) -> dict[str, Any]:
    """Embed every text that an encoder over this base will read in the run; returns the numbers of texts and of new ones.

    Texts of items and of users are rendered bucket by bucket and brought together by their hash, so that each is embedded once.

    `settings` are the encoder's, whose weights define the item embeddings; None where it is not trained yet.
    """
    since = keyed.warehouse.version("text_embeddings")
    shuffle = keyed.shuffle(_TEXTS, _RENDERED, "text_hash", (*ITEM_SOURCES, *USER_SOURCES))
    for _ in keyed.each(ITEM_SOURCES, partial(_texts_of_items, shuffle)):
        pass
    for _ in keyed.each(USER_SOURCES, partial(_texts_of_users, shuffle, min_liked_rating)):
        pass
    texts = embedded = 0
    for found, new in keyed.each([_known(embedder.base_model)], partial(_embed, embedder, since), shuffle):
        texts, embedded = texts + found, embedded + new
    new_profiles = ensure_profiles(keyed, embedder, settings) if settings else 0
    return {"texts": texts, "embedded": embedded, "new_profiles": new_profiles}


def _known(base_model: str) -> Source:
    """Texts that have an embedding."""
    name = base_model.replace("'", "''")
    sql = f"SELECT text_hash FROM rows WHERE base_model = '{name}'"
    return Source("text_embeddings", "text_hash", ("text_hash", "base_model"), sql)


def _texts_of_items(shuffle: Shuffle, part: Part) -> None:
    found = (persona_texts(part.rows), evidence_texts(part.rows), content_texts(part.rows))
    shuffle.add(f"items-{part.number}", found)


def _texts_of_users(shuffle: Shuffle, min_liked_rating: float, part: Part) -> None:
    shuffle.add(f"users-{part.number}", [liked_interaction_texts(part.rows, min_liked_rating)])


def _embed(embedder: Embedder, since: int | None, part: Part) -> tuple[int, int]:
    """Embed a bucket's texts that are not known; returns the numbers of texts and of new ones."""
    texts = part.rows.query("SELECT DISTINCT ON (text_hash) text_hash, text FROM texts ORDER BY text_hash", [_TEXTS])
    new = part.rows.query(
        "SELECT text_hash, text FROM found ANTI JOIN text_embeddings USING (text_hash)",
        ["text_embeddings"],
        found=texts,
    )
    embedder.embed(dict(zip(new["text_hash"].to_pylist(), new["text"].to_pylist(), strict=True)), since)
    return texts.num_rows, new.num_rows
