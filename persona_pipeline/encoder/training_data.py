"""Gather what the head is trained on from `training_pairs`, `text_embeddings` and the histories."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from persona_pipeline.config import EncodersConfig, KeyedConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.interactions import liked_sql, met_sql
from persona_pipeline.embeddings.mapped import vectors_on_disk
from persona_pipeline.encoder.history_weights import shortened
from persona_pipeline.encoder.item_embeddings import ItemFields, item_fields, profiles, texts_of, with_profiles
from persona_pipeline.encoder.text_inputs import ITEM_SOURCES, in_sample, liked_histories, persona_texts
from persona_pipeline.keyed import Keyed, Part, keyed_work
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
    warehouse: Warehouse,
    base_model: str,
    min_liked_rating: float,
    config: EncodersConfig,
    blind: bool = False,
    keyed: KeyedConfig | None = None,
) -> TrainingData:
    """Gather the head's training data, with item embeddings under the weights of `config`.

    `blind` leaves each user's review of the newest liked item out of the item embeddings, and personas that rest on it
    alone: data for predicting that interaction.

    Memory: the pairs and histories of as many users as have `config.max_pairs` pairs, with the items they met; a number and a
    hash of every other item.

    Raises PipelineError where the cache lacks a text (the text_embeddings task has not run).
    """
    share = sampled_share(warehouse, config.max_pairs)
    key = ", ".join(load_contract("training_pairs").key)
    pairs = warehouse.query(f"SELECT * FROM training_pairs WHERE {in_sample(share)} ORDER BY {key}", ["training_pairs"])
    histories = liked_histories(warehouse, min_liked_rating, share)
    with keyed_work(warehouse, keyed or KeyedConfig(), "training_data") as work:
        listed = _listed(work, config)
        # An item of which nothing is known has no profile.
        pairs = with_profiled_histories(pairs, with_profiles(histories, _chosen(work, listed.items, histories)))
        if blind:  # what a persona was made of keeps every item its profile
            newest = pairs.filter(pc.equal(pairs["history_place"], 0))
            hidden = (newest[name].combine_chunks() for name in ("interaction_id", "masked_persona_ids"))
            listed = _listed(work, config, next(hidden), next(hidden).flatten())
        # Of a sample the items it met; what others met teaches nobody here.
        met = pa.concat_tables([histories.select(["item_id"]), pairs.select(["item_id"])]) if share < 1 else None
        known, told = (_chosen(work, rows, met) for rows in (listed.items, listed.personas))
        known, told = known.sort_by("item_id"), with_profiles(told.sort_by("persona_id"), known)
        hashes = listed.items.to_table(columns=["item_id", "profile_hash"]).sort_by("item_id")
        texts = pa.concat_tables([told.select(["text_hash"]), texts_of(known)])
        with vectors_on_disk(warehouse, texts, base_model, work.scratch) as vectors:
            text_vectors, fields = vectors.of(told["text_hash"]), item_fields(known, vectors)
    liked = with_profiles(histories, known)
    counts = warehouse.query(
        f"SELECT item_id, sum(weight) AS n FROM ({met_sql()}) WHERE {liked_sql('$liked')} GROUP BY item_id ORDER BY item_id",
        ["reviews", "interactions"],
        {"liked": min_liked_rating},
    )
    none = np.empty((0, 0), np.float32)
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
    return replace(found, profile_hashes=dict(zip(*hashes.to_pydict().values(), strict=True)))


def sampled_share(warehouse: Warehouse, max_pairs: int) -> float:
    """Share of the users whose pairs are some `max_pairs`; 1 where all are no more."""
    pairs = warehouse.query("SELECT count(*) AS n FROM training_pairs", ["training_pairs"])["n"][0].as_py()
    return min(1.0, max_pairs / max(1, int(pairs)))


class _Listed(NamedTuple):
    """What is known of items, and their personas, on disk: rows of `profiles`, and persona_id, item_id, text_hash."""

    items: ds.Dataset
    personas: ds.Dataset


def _listed(
    work: Keyed, config: EncodersConfig, without: pa.Array | None = None, untold: pa.Array | None = None
) -> _Listed:
    folder = work.folder()
    none = pa.array([], pa.string())
    list_items = partial(_list_items, config, none if without is None else without, none if untold is None else untold)
    files = list(work.each(ITEM_SOURCES, partial(list_items, folder)))
    return _Listed(*(ds.dataset(list(paths)) for paths in zip(*files, strict=True)))


def _list_items(
    config: EncodersConfig, without: pa.Array, untold: pa.Array, folder: Path, part: Part
) -> tuple[str, str]:
    items, personas = (folder / f"{part.number}-{name}.parquet" for name in ("items", "personas"))
    pq.write_table(profiles(part.rows, config, without, untold), items)
    pq.write_table(persona_texts(part.rows).drop_columns(["text"]), personas)
    return str(items), str(personas)


def _chosen(work: Keyed, rows: ds.Dataset, met: pa.Table | None) -> pa.Table:
    """Rows of the items that were met; all where that is None."""
    if met is None:
        return rows.to_table()
    return work.warehouse.query("SELECT * FROM listed SEMI JOIN met USING (item_id)", [], listed=rows, met=met)


def with_profiled_histories(pairs: pa.Table, liked: pa.Table) -> pa.Table:
    """Leave out of the histories of `training_pairs` what is not among `liked`, the interactions whose item has an embedding.

    A pair without any history left is dropped.
    """
    members = pairs["history_interaction_ids"].combine_chunks().flatten()
    known = pc.is_in(members, liked["interaction_id"].combine_chunks())
    return pairs if pc.all(known).as_py() is not False else shortened(pairs, known.to_numpy(zero_copy_only=False))
