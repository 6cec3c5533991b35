"""What an item is like, as one vector: the mean of its evidence reviews' embeddings, kept in `text_embeddings`.

An item's profile stands for it in the histories of its users, and is the ground its personas are set off from. It is cached
by what it is made of, like a text: the key is a hash over the hashes of the reviews' texts, and the base model's name says
that it is a mean. An item without evidence gets the mean of its personas' texts.
"""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.encoder.inputs import evidence_texts, persona_texts
from persona_pipeline.text_embeddings import Embedder, vectors_of, with_vectors
from persona_pipeline.warehouse import Warehouse

_ITEMS_AT_ONCE = 2_000  # of up to item_reviews.max_reviews vectors each


def profile_model(base_model: str) -> str:
    """What `text_embeddings` calls the base model of a profile."""
    return f"{base_model}/mean"


def profiles(warehouse: Warehouse) -> pa.Table:
    """Items that have evidence or a persona as item_id, profile_hash and text_hashes, what the mean is over; by item_id."""
    said, told = (
        rows.select(["item_id", "text_hash"]) for rows in (evidence_texts(warehouse), persona_texts(warehouse))
    )
    unsaid = told.filter(pc.invert(pc.is_in(told["item_id"], said["item_id"]))).sort_by("item_id")
    members = pa.concat_tables([said, unsaid]).group_by("item_id", use_threads=False).aggregate([("text_hash", "list")])
    hashes = [
        hashlib.sha256(",".join(texts).encode()).hexdigest()[:32] for texts in members["text_hash_list"].to_pylist()
    ]
    found = pa.table(
        {
            "item_id": members["item_id"],
            "profile_hash": pa.array(hashes, pa.string()),
            "text_hashes": members["text_hash_list"],
        }
    )
    return found.sort_by("item_id")


def ensure_profiles(warehouse: Warehouse, embedder: Embedder) -> int:
    """Have every profile in the cache; their texts must be there. Returns how many were new.

    Memory: the evidence vectors of 2,000 items. Raises PipelineError where a text has no embedding.
    """
    wanted = profiles(warehouse)
    model = profile_model(embedder.base_model)
    new = warehouse.query(
        "SELECT any_value(text_hashes) AS text_hashes, profile_hash FROM wanted "
        "ANTI JOIN (SELECT text_hash AS profile_hash FROM text_embeddings WHERE base_model = $model) USING (profile_hash) "
        "GROUP BY profile_hash ORDER BY profile_hash",
        ["text_embeddings"],
        {"model": model},
        wanted=wanted,
    )
    for start in range(0, new.num_rows, _ITEMS_AT_ONCE):
        part = new.slice(start, _ITEMS_AT_ONCE)
        texts = part["text_hashes"].combine_chunks()
        rows = with_vectors(warehouse, pa.table({"text_hash": texts.flatten()}), embedder.base_model)
        lengths = pc.list_value_length(texts).to_numpy(zero_copy_only=False)
        means = np.add.reduceat(vectors_of(rows["vector"]), np.concatenate([[0], np.cumsum(lengths)[:-1]]), axis=0)
        unit = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        embedder.keep(pa.table({"text_hash": part["profile_hash"], "vector": list(unit.astype(np.float32))}), model)
    return int(new.num_rows)


def with_profiles(rows: pa.Table, known: pa.Table) -> pa.Table:
    """Rows whose item has a profile, with its profile_hash; order kept. `known` are rows of `profiles`."""
    place = pc.index_in(rows["item_id"], known["item_id"].combine_chunks())
    found = rows.append_column("profile_hash", known["profile_hash"].take(place))
    return found.filter(pc.is_valid(place))


def persona_inputs(profiles: np.ndarray, texts: np.ndarray, weight: float) -> np.ndarray:
    """What the head encodes of personas, (p, d) float32 unit rows: their items' profiles (p, d) plus their own texts (p, d)."""
    mixed = profiles + np.float32(weight) * texts
    unit: np.ndarray = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    return unit.astype(np.float32)
