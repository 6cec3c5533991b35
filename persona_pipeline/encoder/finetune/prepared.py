"""The folder a fine-tune reads, so that it may run on a machine without the warehouse.

`texts.parquet` (text), `personas.parquet` (persona_id, item_id, text, vector), `pairs.parquet` (user_id, item_id,
persona_id, masked_persona_ids, history, weights) and `known_positives.parquet` (user_id, item_id); `text` and `history` are
rows of `texts`. `about.json` says what it was made from.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from persona_pipeline.config import load_config
from persona_pipeline.encoder.finetune.examples import Examples, Ragged, item_slots
from persona_pipeline.encoder.inputs import liked_interaction_texts, persona_texts
from persona_pipeline.encoder.recency import distances_from, proximity_weights
from persona_pipeline.encoder.retraining import TRAINED_ON
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.errors import PipelineError
from persona_pipeline.text_embeddings import Embedder, vectors_of, with_vectors
from persona_pipeline.warehouse import Warehouse

_ABOUT = "about.json"


def prepare(
    warehouse: Warehouse, folder: Path, base_model: str, min_liked_rating: float, half_life: float, history: int
) -> None:
    """Write the folder; it appears whole or not at all. A folder already there is left as it is.

    Args:
        base_model: whose cached vectors tell near-duplicate personas; need not be the model that is trained.
        min_liked_rating: interactions rated lower are no positives.
        half_life: of the recency weights, in interactions.
        history: most recent interactions of a pair that are encoded.

    Raises PipelineError where there are no pairs, or a persona has no vector by `base_model`.
    """
    if folder.is_dir():
        return
    tables = _tables(warehouse, base_model, min_liked_rating, half_life, history)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    digests = {}
    for name, table in tables.items():
        pq.write_table(table, partial / f"{name}.parquet")
        with (partial / f"{name}.parquet").open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    about = {
        "text_version": TEXT_VERSION,
        "near_duplicates_by": base_model,
        "half_life": half_life,
        "history": history,
        "data_versions": {table: warehouse.version(table) for table in TRAINED_ON},
        "sha256": digests,
    }
    (partial / _ABOUT).write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    partial.rename(folder)


def _tables(
    warehouse: Warehouse, base_model: str, min_liked_rating: float, half_life: float, history: int
) -> dict[str, pa.Table]:
    columns = ["user_id", "item_id", "persona_id", "masked_persona_ids", "history_review_ids", "history_place"]
    pairs = warehouse.read("training_pairs", columns).sort_by([("user_id", "ascending"), ("item_id", "ascending")])
    if pairs.num_rows == 0:
        raise PipelineError("training_pairs is empty: there is nothing to train on")
    pairs = pairs.set_column(4, "history_review_ids", pc.list_slice(pairs["history_review_ids"], 0, history))
    personas = with_vectors(warehouse, persona_texts(warehouse), base_model)
    interactions = liked_interaction_texts(warehouse, min_liked_rating)
    used = interactions.filter(pc.is_in(interactions["review_id"], pc.list_flatten(pairs["history_review_ids"])))
    texts = pc.unique(pa.chunked_array([*personas["text"].chunks, *used["text"].chunks]))
    text_of_review = pc.index_in(used["text"], texts).combine_chunks()
    members = pairs["history_review_ids"].combine_chunks()
    reviews = pc.index_in(members.flatten(), used["review_id"].combine_chunks())
    if reviews.null_count:
        raise PipelineError(
            f"{reviews.null_count} interactions of training_pairs are not in user_histories; run the training_pairs task again"
        )
    lengths = pc.list_value_length(members).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    shapes = zip(lengths.tolist(), pairs["history_place"].to_pylist(), strict=True)
    weights = np.concatenate([proximity_weights(distances_from(n, place), half_life) for n, place in shapes])
    known = warehouse.query(
        "SELECT user_id, item_id FROM reviews WHERE rating >= $liked UNION SELECT user_id, item_id FROM training_pairs "
        "ORDER BY user_id, item_id",
        ["reviews", "training_pairs"],
        {"liked": min_liked_rating},
    )
    history_rows = pa.ListArray.from_arrays(offsets, text_of_review.take(reviews))
    return {
        "texts": pa.table({"text": texts}),
        "personas": personas.select(["persona_id", "item_id", "vector"]).append_column(
            "text", pc.index_in(personas["text"], texts)
        ),
        "pairs": pairs.drop_columns(["history_review_ids", "history_place"])
        .append_column("history", history_rows)
        .append_column("weights", pa.ListArray.from_arrays(offsets, pa.array(weights.astype(np.float32)))),
        "known_positives": known,
    }


def load(folder: Path) -> tuple[Examples, dict[str, object]]:
    """The examples, and what `about.json` says of them. Raises PipelineError where the folder was not made by `prepare`."""
    if not (folder / _ABOUT).is_file():
        raise PipelineError(f"{folder} is no prepared folder: it has no {_ABOUT}")
    about: dict[str, object] = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    texts, personas, pairs, known = (
        pq.read_table(folder / f"{name}.parquet") for name in ("texts", "personas", "pairs", "known_positives")
    )
    personas = personas.sort_by([("item_id", "ascending"), ("persona_id", "ascending")])
    item_ids, persona_items = np.unique(_strings(personas["item_id"]), return_inverse=True)
    slots, filled = item_slots(persona_items, len(item_ids))
    user_ids, users = np.unique(_strings(pairs["user_id"]), return_inverse=True)
    targets = _rows_in(pairs["item_id"], pa.array(item_ids))
    labels = _rows_in(pairs["persona_id"], personas["persona_id"])
    known = known.filter(
        pc.and_(pc.is_in(known["user_id"], pa.array(user_ids)), pc.is_in(known["item_id"], pa.array(item_ids)))
    )
    known_users = _rows_in(known["user_id"], pa.array(user_ids))
    order = np.argsort(known_users, kind="stable")
    history = pairs["history"].combine_chunks()
    lengths = pc.list_value_length(history).to_numpy(zero_copy_only=False)
    examples = Examples(
        texts=texts["text"].to_pylist(),
        histories=Ragged.of_lengths(np.asarray(history.flatten(), np.int64), lengths),
        weights=np.asarray(pairs["weights"].combine_chunks().flatten(), np.float32),
        users=users,
        targets=targets,
        labels=labels,
        visible=_visible(pairs, personas, slots[targets], filled[targets]),
        persona_texts=np.asarray(personas["text"], np.int64),
        persona_vectors=vectors_of(personas["vector"]).astype(np.float32, copy=False),
        slots=slots,
        filled=filled,
        known=Ragged.of_lengths(
            _rows_in(known["item_id"], pa.array(item_ids))[order], np.bincount(known_users, minlength=len(user_ids))
        ),
    )
    return examples, about


def _visible(pairs: pa.Table, personas: pa.Table, slots: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Filled slots of the targets without the masked personas, (n, slots)."""
    masked = pairs["masked_persona_ids"].combine_chunks()
    rows = _rows_in(pa.chunked_array([masked.flatten()]), personas["persona_id"])
    pair = np.repeat(np.arange(len(pairs)), pc.list_value_length(masked).to_numpy(zero_copy_only=False))
    visible = filled.copy()
    at_masked, slot = np.nonzero(slots[pair] == rows[:, None])
    visible[pair[at_masked], slot] = False
    return visible


def _rows_in(values: pa.ChunkedArray, among: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Row of each value among distinct ones, (n,). Raises PipelineError for one that is not there."""
    found = pc.index_in(values, among)
    if found.null_count:
        raise PipelineError(
            f"{found.null_count} rows of training_pairs name a persona or item that item_personas does not have; "
            "run the training_pairs task again"
        )
    rows: np.ndarray = found.to_numpy().astype(np.int64)
    return rows


def _strings(column: pa.ChunkedArray) -> np.ndarray:
    strings: np.ndarray = column.to_numpy(zero_copy_only=False).astype(str)
    return strings


def main() -> None:
    """Prepare from a warehouse, with the settings a night has."""
    parser = argparse.ArgumentParser(
        prog="python -m persona_pipeline.encoder.finetune.prepared", description="Write the folder a fine-tune reads."
    )
    parser.add_argument("--warehouse", type=Path, required=True, help="folder of the Delta tables")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    parser.add_argument("--config", default="local", help="profile (local, gpu) or YAML file, as the nights had it")
    parser.add_argument("--history", type=int, default=10, help="most recent interactions of a pair that are encoded")
    found = parser.parse_args()
    try:
        config, warehouse = load_config(found.config), Warehouse(found.warehouse)
        base_model = Embedder(config.text_embeddings, warehouse).base_model
        liked, half_life = config.training_pairs.min_liked_rating, config.encoders.half_life
        prepare(warehouse, found.output, base_model, liked, half_life, found.history)
    except PipelineError as error:
        sys.exit(f"prepared: {error}")


if __name__ == "__main__":
    main()
