"""Gather what the head is trained on from `training_pairs`, `text_embeddings` and the histories."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.interactions import liked_sql, met_sql
from persona_pipeline.embeddings.mapped import vectors_on_disk
from persona_pipeline.encoder.history_weights import shortened
from persona_pipeline.encoder.item_embeddings import ItemFields, item_fields, profiles, texts_of, with_profiles
from persona_pipeline.encoder.text_inputs import liked_histories, persona_texts
from persona_pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Training data of the head.

    Attributes:
        pairs: rows of `training_pairs`.
        personas: persona_id, item_id; rows of `persona_texts` and `persona_profiles`, (p, d) each.
        interactions: user_id, interaction_id, item_id, weight, day of liked interactions, each user's newest first; rows of
            `interaction_profiles`.
        liked_counts: liked interactions by item, each counting by its weight.
        profile_hashes: every item's embedding, by its key in `text_embeddings`.
        fields: parts the item embeddings are computed from; None where the embeddings are fixed.
    """

    pairs: pa.Table
    personas: pa.Table
    persona_texts: np.ndarray
    persona_profiles: np.ndarray
    interactions: pa.Table
    interaction_profiles: np.ndarray
    liked_counts: Mapping[str, float]
    profile_hashes: dict[str, str] = field(default_factory=dict)
    fields: ItemFields | None = None

    def weighed(self, config: EncodersConfig) -> "TrainingData":
        """Recompute item embeddings under the weights of `config`; their hashes are dropped."""
        if self.fields is None:
            return self
        vectors = self.fields.profiles(config.content_weights())
        return replace(
            self,
            persona_profiles=vectors[self.fields.places(self.personas["item_id"])],
            interaction_profiles=vectors[self.fields.places(self.interactions["item_id"])],
            profile_hashes={},
        )


def training_data(
    warehouse: Warehouse, base_model: str, min_liked_rating: float, config: EncodersConfig, blind: bool = False
) -> TrainingData:
    """Gather the head's training data, with item embeddings under the weights of `config`.

    `blind` leaves each user's review of the newest liked item out of the item embeddings, and personas that rest on it
    alone: data for predicting that interaction.

    Raises PipelineError where the cache lacks a text (the text_embeddings task has not run).
    """
    histories, known = liked_histories(warehouse, min_liked_rating), profiles(warehouse, config)
    # An item of which nothing is known has no profile.
    pairs = with_profiled_histories(warehouse.read("training_pairs"), with_profiles(histories, known))
    if blind:  # what a persona was made of keeps every item its profile
        newest = pairs.filter(pc.equal(pairs["history_place"], 0))
        hidden = (newest[name].combine_chunks() for name in ("interaction_id", "masked_persona_ids"))
        known = profiles(warehouse, config, next(hidden), next(hidden).flatten())
    told = with_profiles(persona_texts(warehouse).drop_columns(["text"]), known)
    liked = with_profiles(histories, known)
    counts = warehouse.query(
        f"SELECT item_id, sum(weight) AS n FROM ({met_sql()}) WHERE {liked_sql('$liked')} GROUP BY item_id ORDER BY item_id",
        ["reviews", "interactions"],
        {"liked": min_liked_rating},
    )
    none = np.empty((0, 0), np.float32)
    texts = pa.concat_tables([told.select(["text_hash"]), texts_of(known)])
    with vectors_on_disk(warehouse, texts, base_model) as vectors:
        text_vectors, fields = vectors.of(told["text_hash"]), item_fields(known, vectors)
    found = TrainingData(
        pairs,
        told.select(["persona_id", "item_id"]),
        text_vectors,
        none,
        liked.select(["user_id", "interaction_id", "item_id", "weight", "day"]),
        none,
        dict(zip(counts["item_id"].to_pylist(), counts["n"].to_pylist(), strict=True)),
        fields=fields,
    ).weighed(config)
    hashes = dict(zip(known["item_id"].to_pylist(), known["profile_hash"].to_pylist(), strict=True))
    return replace(found, profile_hashes=hashes)


def with_profiled_histories(pairs: pa.Table, liked: pa.Table) -> pa.Table:
    """Leave out of the histories of `training_pairs` what is not among `liked`, the interactions whose item has an embedding.

    A pair without any history left is dropped.
    """
    members = pairs["history_interaction_ids"].combine_chunks().flatten()
    known = pc.is_in(members, liked["interaction_id"].combine_chunks())
    return pairs if pc.all(known).as_py() is not False else shortened(pairs, known.to_numpy(zero_copy_only=False))
