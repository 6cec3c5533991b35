"""Define ablations: each maps (training data, encoder settings) to a changed pair, e.g. one vector per item instead of personas."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.item_embeddings import persona_inputs
from persona_pipeline.encoder.training_data import TrainingData

Changed = tuple[TrainingData, EncodersConfig]
Change = Callable[[TrainingData, EncodersConfig], Changed]


def settings(**values: object) -> Change:
    """Ablate by settings of the encoder, on unchanged training data."""
    return lambda data, config: (data, EncodersConfig.model_validate(config.model_dump() | values))


def mean_persona(data: TrainingData, config: EncodersConfig) -> Changed:
    """Represent each item by one vector, the mean of its persona inputs: the same text, without separate personas."""
    inputs = persona_inputs(data.persona_profiles, data.persona_texts, config.persona_weight)
    items, owner, first = _items(data)
    means = np.zeros((len(items), inputs.shape[1]))
    np.add.at(means, owner, inputs)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    representative = data.personas["persona_id"].take(pa.array(first))
    told = pc.index_in(data.pairs["item_id"], pa.array(items, pa.string()))
    pairs = _with_column(data.pairs, "persona_id", representative.take(told))
    nobody = pa.array([[]] * pairs.num_rows, pairs.schema.field("masked_persona_ids").type)
    one = replace(
        data,
        pairs=_with_column(pairs, "masked_persona_ids", nobody),
        personas=pa.table({"persona_id": representative, "item_id": pa.array(items, pa.string())}),
        persona_texts=np.zeros(means.shape, np.float32),
        persona_profiles=means.astype(np.float32),
    )
    return one, config


SINGLE_VECTORS: dict[str, Change] = {
    "one vector per item": settings(persona_weight=0.0),
    "mean persona vector": mean_persona,
    "max over personas": settings(aggregation="max"),
}
"""Alternatives to several personas under a soft maximum, all else equal; the last keeps the personas, combined as in the paper."""


def item_texts(data: TrainingData, catalogue: np.ndarray) -> np.ndarray:
    """Sum each item's persona text embeddings, (items, d), for a cosine model; zeros for an item without personas."""
    return _by_item(data, data.persona_texts, catalogue)


def item_profiles(data: TrainingData, catalogue: np.ndarray) -> np.ndarray:
    """Return each item's embedding, not normalised, (items, d); zeros for an item without personas."""
    return _by_item(data, data.persona_profiles, catalogue)


def _by_item(data: TrainingData, vectors: np.ndarray, catalogue: np.ndarray) -> np.ndarray:
    items, owner, _ = _items(data)
    sums = np.zeros((len(catalogue), vectors.shape[1]))
    np.add.at(sums, np.searchsorted(catalogue, items)[owner], vectors)
    return sums


def _items(data: TrainingData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sorted items with personas, each persona's index among them, and each item's first persona."""
    of = data.personas["item_id"].to_numpy(zero_copy_only=False).astype(str)
    items, first, owner = np.unique(of, return_index=True, return_inverse=True)
    return items, owner, first


def _with_column(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)
