"""Compute item embeddings ("profiles") as means of text embeddings, and cache them in `text_embeddings`.

An item embedding represents the item in the histories of its users, and is added to each of its personas' text vectors,
so that personas differ from the item mean. It is norm(r + sum_f w_f t_f): r is the normalised mean of its evidence
reviews' embeddings, t_f the embedding of its title, creator, categories or description, w_f the weight of that field in
`encoders`. A missing field adds nothing; an item without evidence and fields gets the mean of its personas' texts. An
item embedding is cached like a text: its key is a hash over the text hashes and weights it is computed from, and the
base model's name is suffixed by `/mean`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from persona_pipeline.config import CONTENT_FIELDS, EncodersConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.embeddings.mapped import MappedVectors, vectors_on_disk
from persona_pipeline.embeddings.vectors import lists_of
from persona_pipeline.encoder.text_inputs import (
    ITEM_SOURCES,
    content_texts,
    evidence_texts,
    persona_texts,
)
from persona_pipeline.keyed import Keyed, Part
from persona_pipeline.warehouse import Warehouse

_ITEMS_AT_ONCE = 2_000  # of up to item_reviews.max_reviews vectors each
_PARTS = ("said", "told", *CONTENT_FIELDS)
"""Lists of text hashes an item has: of its evidence, of its personas, and at most one of each field."""
_NONE = pa.array([], pa.string())


@dataclass(frozen=True, slots=True)
class ItemFields:
    """Embeddings of the parts of items, from which item embeddings are computed under any weights.

    Attributes:
        item_ids: (items,) sorted.
        parts: (items, d) float32 each, unit rows or zeros where an item lacks the part: `said` of its evidence, `told` of its
            personas, and each of CONTENT_FIELDS; an array without rows where no item has the part.
    """

    item_ids: np.ndarray
    parts: dict[str, np.ndarray]

    def profiles(self, weights: Mapping[str, float]) -> np.ndarray:
        """Compute (items, d) float32 unit rows, under the weights of CONTENT_FIELDS."""
        mixed = np.zeros((len(self.item_ids), self.dimensions))
        for name in ("said", *CONTENT_FIELDS):
            if len(self.parts[name]):
                mixed += weights.get(name, 1.0) * self.parts[name]
        if len(self.parts["told"]):
            mixed = np.where(np.any(mixed != 0, axis=1, keepdims=True), mixed, self.parts["told"])
        return _unit(mixed)

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return max(int(part.shape[1]) for part in self.parts.values())

    def known(self) -> list[str]:
        """The CONTENT_FIELDS that some item has."""
        return [field for field in CONTENT_FIELDS if len(self.parts[field])]

    def places(self, item_ids: pa.ChunkedArray) -> np.ndarray:
        """Row of each item (n,), all of which must be known."""
        found: np.ndarray = np.searchsorted(self.item_ids, item_ids.to_numpy(zero_copy_only=False).astype(str))
        return found


def profile_model(base_model: str) -> str:
    """Name under which `text_embeddings` stores item embeddings by this base model."""
    return f"{base_model}/mean"


def profiles(
    warehouse: Warehouse, config: EncodersConfig, without: pa.Array = _NONE, untold: pa.Array = _NONE
) -> pa.Table:
    """List the items with an embedding, by item: item_id, profile_hash, and text hashes `said`, `told` and CONTENT_FIELDS.

    Args:
        config: with the weights of the fields.
        without: ids of reviews that are left out of the evidence.
        untold: ids of personas that are left out where their item has others.
    """
    said = evidence_texts(warehouse)
    said = said.filter(pc.invert(pc.is_in(said["review_id"], without)))
    told = persona_texts(warehouse)
    shown = pc.invert(pc.is_in(told["persona_id"], untold))
    others = told.filter(shown)["item_id"].combine_chunks()
    told = told.filter(pc.or_(shown, pc.invert(pc.is_in(told["item_id"], others))))
    content = content_texts(warehouse)
    hashes = {"said": said, "told": told}
    hashes |= {field: content.filter(pc.equal(content["field"], field)) for field in CONTENT_FIELDS}
    item_ids = pa.array(np.unique(np.concatenate([_strings(rows["item_id"]) for rows in hashes.values()])), pa.string())
    columns = {name: _lists_of(rows, item_ids) for name, rows in hashes.items()}
    weights = {field: weight for field, weight in config.content_weights().items() if weight}
    found = pa.table({"item_id": item_ids, **columns})
    keys = [_key(row, weights) for row in found.select(list(_PARTS)).to_pylist()]
    found = found.append_column("profile_hash", pa.array(keys, pa.string()))
    return found.filter(pc.is_valid(found["profile_hash"]))


def _key(row: dict[str, list[str]], weights: Mapping[str, float]) -> str | None:
    """Hash of the texts and weights an item embedding is computed from; None where there are none."""
    parts = [",".join(row["said"])] if row["said"] else []
    parts += [f"{weight:g}*{row[field][0]}" for field, weight in weights.items() if row[field]]
    if not parts and row["told"]:
        parts = [",".join(row["told"])]
    return hashlib.sha256("+".join(parts).encode()).hexdigest()[:32] if parts else None


def item_fields(known: pa.Table, vectors: MappedVectors) -> ItemFields:
    """Load the part embeddings of rows of `profiles`. Memory: the result, and the evidence vectors of 2,000 items.

    Raises PipelineError where a text has no embedding.
    """
    item_ids = _strings(known["item_id"])
    parts: dict[str, list[np.ndarray]] = {name: [] for name in _PARTS}
    for start in range(0, known.num_rows, _ITEMS_AT_ONCE):
        some = known.slice(start, _ITEMS_AT_ONCE)
        for name in _PARTS:
            parts[name].append(_means(some[name].combine_chunks(), vectors))
    width = max((part.shape[1] for chunks in parts.values() for part in chunks), default=0)
    return ItemFields(item_ids, {name: _stacked(chunks, width) for name, chunks in parts.items()})


def texts_of(known: pa.Table) -> pa.Table:
    """List the texts that item embeddings are computed from: `text_hash`, of rows of `profiles`, repeated as they are."""
    return pa.table({"text_hash": pa.chunked_array([known[name].combine_chunks().flatten() for name in _PARTS])})


def _means(texts: pa.ListArray, vectors: MappedVectors) -> np.ndarray:
    """Compute (lists, d) normalised means of each list's texts, zeros for an empty list; (lists, 0) where all are empty."""
    lengths = pc.list_value_length(texts).to_numpy(zero_copy_only=False)
    if not lengths.sum():
        return np.zeros((len(lengths), 0), np.float32)
    found = vectors.of(texts.flatten())
    means = np.zeros((len(lengths), found.shape[1]))
    filled = np.flatnonzero(lengths)
    means[filled] = np.add.reduceat(found, (np.cumsum(lengths) - lengths)[filled], axis=0)
    return _unit(means)


def _stacked(chunks: list[np.ndarray], width: int) -> np.ndarray:
    """Concatenate the rows of all chunks; an array without rows where no chunk has any dimension."""
    if not any(part.shape[1] for part in chunks):
        return np.zeros((0, width), np.float32)
    return np.concatenate([part if part.shape[1] else np.zeros((len(part), width), np.float32) for part in chunks])


def ensure_profiles(keyed: Keyed, embedder: Embedder, config: EncodersConfig) -> int:
    """Compute and cache missing item embeddings under these weights; texts must be cached already. Returns the number computed.

    Memory: the items of a bucket, and the evidence vectors of 2,000 items. Raises PipelineError where a text has no embedding.
    """
    model = profile_model(embedder.base_model)
    since = keyed.warehouse.version("text_embeddings")
    files = list(keyed.each(ITEM_SOURCES, partial(_list_profiles, config, keyed.folder())))
    listed = ds.dataset(files)
    new = keyed.query(
        "SELECT profile_hash, min(item_id) AS item_id FROM listed ANTI JOIN (SELECT text_hash AS profile_hash "
        "FROM text_embeddings WHERE base_model = $model) AS known USING (profile_hash) GROUP BY profile_hash",
        ["text_embeddings"],
        {"model": model},
        listed=listed,
    )
    if not (count := new.count_rows()):
        return 0
    every = " UNION ALL ".join(f"SELECT unnest({name}) AS text_hash FROM wanted" for name in _PARTS)
    texts = keyed.query(
        f"WITH wanted AS (SELECT * FROM listed SEMI JOIN new USING (item_id)) SELECT DISTINCT text_hash FROM ({every})",
        [],
        listed=listed,
        new=new,
    )
    with vectors_on_disk(keyed.warehouse, texts, embedder.base_model, keyed.scratch) as vectors:
        for made in keyed.over(files, partial(_mean_profiles, keyed.warehouse, config, new, vectors)):
            since = embedder.keep(made, model, since) if made.num_rows else since
    return int(count)


def _list_profiles(config: EncodersConfig, folder: Path, part: Part) -> str:
    path = folder / f"{part.number}.parquet"
    pq.write_table(profiles(part.rows, config), path)
    return str(path)


def _mean_profiles(
    warehouse: Warehouse, config: EncodersConfig, new: ds.Dataset, vectors: MappedVectors, listed: str
) -> pa.Table:
    """Embeddings of those items listed in a file that are new: text_hash, vector."""
    wanted = warehouse.query(
        "SELECT * FROM listed SEMI JOIN new USING (item_id) ORDER BY item_id", [], listed=ds.dataset(listed), new=new
    )
    if not wanted.num_rows:
        return pa.table({"text_hash": pa.array([], pa.string()), "vector": pa.array([], pa.list_(pa.float32()))})
    made = item_fields(wanted, vectors).profiles(config.content_weights())
    return pa.table({"text_hash": wanted["profile_hash"], "vector": lists_of(made)})


def with_profiles(rows: pa.Table, known: pa.Table) -> pa.Table:
    """Append profile_hash to rows whose item has an embedding, and drop all others; order kept. `known` are rows of `profiles`."""
    place = pc.index_in(rows["item_id"], known["item_id"].combine_chunks())
    found = rows.append_column("profile_hash", known["profile_hash"].take(place))
    return found.filter(pc.is_valid(place))


def persona_inputs(profiles: np.ndarray, texts: np.ndarray, weight: float) -> np.ndarray:
    """Combine item embeddings (p, d) and persona text embeddings (p, d) into the head's inputs, (p, d) float32 unit rows."""
    return _unit(profiles + np.float32(weight) * texts)


def _lists_of(rows: pa.Table, item_ids: pa.Array) -> pa.ListArray:
    """Group text hashes by item (n,), in the order of the rows, empty where an item has none."""
    place = pc.index_in(rows["item_id"], item_ids).to_numpy()
    order = np.argsort(place, kind="stable")
    ends = np.cumsum(np.bincount(place, minlength=len(item_ids)))
    offsets = pa.array(np.concatenate([[0], ends]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, rows["text_hash"].combine_chunks().take(pa.array(order)))


def _strings(column: pa.ChunkedArray) -> np.ndarray:
    strings: np.ndarray = column.to_numpy(zero_copy_only=False).astype(str)
    return strings


def _unit(mixed: np.ndarray) -> np.ndarray:
    unit: np.ndarray = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    return unit.astype(np.float32)
