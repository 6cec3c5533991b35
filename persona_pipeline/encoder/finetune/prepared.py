"""Write and read the folder a fine-tune trains from, so that it may run on a machine without the warehouse.

`texts.parquet` (text), `items.parquet` (item_id, evidence), `personas.parquet` (persona_id, item_id, text, vector),
`pairs.parquet` (user_id, item_id, persona_id, masked_persona_ids, own, history, weights) and `known_positives.parquet`
(user_id, item_id); `text`, `evidence` and `own` are rows of `texts`, `history` of `items`. `about.json` records the
sources, and the settings by which serving combines the vectors.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from persona_pipeline.config import CONTENT_FIELDS, EncodersConfig, PipelineConfig, load_config
from persona_pipeline.core.arrays import offsets_of
from persona_pipeline.core.atomic import atomic_folder
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.core.interactions import liked_sql, met_sql
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.embeddings.mapped import vectors_on_disk
from persona_pipeline.embeddings.vectors import lists_of, vectors_of
from persona_pipeline.encoder.finetune.examples import Examples, Ragged, item_slots, place_of
from persona_pipeline.encoder.history_weights import examples_of, weighted_histories
from persona_pipeline.encoder.item_embeddings import profiles, with_profiles
from persona_pipeline.encoder.retrain_policy import TRAINED_ON
from persona_pipeline.encoder.text_inputs import content_texts, evidence_texts, liked_interaction_texts, persona_texts
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.encoder.training_data import with_profiled_histories
from persona_pipeline.warehouse import Warehouse

_ABOUT = "about.json"
SERVING = {"half_life", "recency", "training_histories", "persona_weight", "aggregation"}
"""Settings of `encoders` that say what a user, an example, a persona and a score are."""


def prepare(warehouse: Warehouse, folder: Path, base_model: str, config: PipelineConfig) -> None:
    """Write the folder atomically. An existing folder is kept.

    The training data equals the head's: the same pairs, the same history weights, the same item embeddings.

    Args:
        base_model: whose cached vectors find near-duplicate personas; need not be the model that is trained.
        config: of serving: `encoders`, `training_pairs`, and the truncation length.

    Raises PipelineError where there are no pairs, or a persona has no vector by `base_model`.
    """
    if folder.is_dir():
        return
    tables = _tables(warehouse, base_model, config.training_pairs.min_liked_rating, config.encoders)
    with atomic_folder(folder) as partial:
        digests = {}
        for name, table in tables.items():
            pq.write_table(table, partial / f"{name}.parquet")
            with (partial / f"{name}.parquet").open("rb") as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        about = {
            "text_version": TEXT_VERSION,
            "max_tokens": config.text_embeddings.max_tokens,
            "near_duplicates_by": base_model,
            **config.encoders.model_dump(include=SERVING),
            "data_versions": {table: warehouse.version(table) for table in TRAINED_ON},
            "sha256": digests,
        }
        (partial / _ABOUT).write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _tables(
    warehouse: Warehouse, base_model: str, min_liked_rating: float, encoders: EncodersConfig
) -> dict[str, pa.Table]:
    items = profiles(warehouse, encoders)
    personas = persona_texts(warehouse)
    with vectors_on_disk(warehouse, personas.select(["text_hash"]), base_model) as vectors:
        personas = personas.append_column("vector", lists_of(vectors.of(personas["text_hash"])))
    content = content_texts(warehouse)
    said = evidence_texts(warehouse)
    liked = with_profiles(liked_interaction_texts(warehouse, min_liked_rating), items)
    pairs = examples_of(with_profiled_histories(warehouse.read("training_pairs"), liked), encoders)
    if pairs.num_rows == 0:
        raise PipelineError("training_pairs is empty: there is nothing to train on")
    pairs = pairs.sort_by([("user_id", "ascending"), ("item_id", "ascending")])
    kinds = (said, personas, content)
    hashes = pa.chunked_array([chunk for rows in kinds for chunk in rows["text_hash"].chunks])
    distinct = pc.unique(hashes)
    every = pa.chunked_array([chunk for rows in kinds for chunk in rows["text"].chunks])
    texts = every.take(pc.index_in(distinct, hashes))
    ids = liked["interaction_id"].combine_chunks()
    written = liked["text_hash"].take(pc.index_in(pairs["interaction_id"], ids))
    lengths, members, weights = weighted_histories(pairs, liked, encoders)
    met = liked["item_id"].take(pa.array(members))
    known = warehouse.query(
        f"SELECT user_id, item_id FROM ({met_sql()}) WHERE {liked_sql('$liked')} "
        "UNION SELECT user_id, item_id FROM training_pairs ORDER BY user_id, item_id",
        ["reviews", "interactions", "training_pairs"],
        {"liked": min_liked_rating},
    )
    said_of = _what_stands_for(items)
    evidence = _lists(pc.list_value_length(said_of), pc.index_in(said_of.flatten(), distinct))
    history = pc.index_in(met, items["item_id"].combine_chunks())
    return {
        "texts": pa.table({"text": texts}),
        "items": pa.table({"item_id": items["item_id"], "evidence": evidence}),
        "personas": personas.select(["persona_id", "item_id", "vector"]).append_column(
            "text", pc.index_in(personas["text_hash"], distinct)
        ),
        "pairs": pairs.select(["user_id", "item_id", "persona_id", "masked_persona_ids"])
        .append_column("own", pc.fill_null(pc.index_in(written, distinct), -1))
        .append_column("history", _lists(lengths, history.combine_chunks()))
        .append_column("weights", _lists(lengths, pa.array(weights.astype(np.float32)))),
        "known_positives": known,
    }


def _what_stands_for(items: pa.Table) -> pa.ListArray:
    """Text hashes that represent each item: its evidence, else its fields, else its personas."""
    content = [
        [found for field in CONTENT_FIELDS for found in row[field]] or row["told"]
        for row in items.select([*CONTENT_FIELDS, "told"]).to_pylist()
    ]
    said = items["said"].to_pylist()
    return pa.array([own or rest for own, rest in zip(said, content, strict=True)], pa.list_(pa.string()))


def _lists(lengths: Any, values: pa.Array) -> pa.ListArray:
    """Group values into lists of these lengths."""
    return pa.ListArray.from_arrays(pa.array(offsets_of(lengths).astype(np.int32)), values)


def load(folder: Path) -> tuple[Examples, dict[str, object]]:
    """Load the examples and the contents of `about.json`. Raises PipelineError where the folder was not made by `prepare`."""
    if not (folder / _ABOUT).is_file():
        raise PipelineError(f"{folder} is no prepared folder: it has no {_ABOUT}")
    about: dict[str, object] = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    texts, items, personas, pairs, known = (
        pq.read_table(folder / f"{name}.parquet") for name in ("texts", "items", "personas", "pairs", "known_positives")
    )
    personas = personas.sort_by([("item_id", "ascending"), ("persona_id", "ascending")])
    item_ids = items["item_id"].combine_chunks()
    slots, filled = item_slots(_rows_in(personas["item_id"], item_ids), len(item_ids))
    user_ids, users = np.unique(_strings(pairs["user_id"]), return_inverse=True)
    targets = _rows_in(pairs["item_id"], item_ids)
    known = known.filter(pc.and_(pc.is_in(known["user_id"], pa.array(user_ids)), pc.is_in(known["item_id"], item_ids)))
    known_users = _rows_in(known["user_id"], pa.array(user_ids))
    order = np.argsort(known_users, kind="stable")
    examples = Examples(
        texts=texts["text"].to_pylist(),
        evidence=_ragged(items["evidence"]),
        histories=_ragged(pairs["history"]),
        weights=np.asarray(pairs["weights"].combine_chunks().flatten(), np.float32),
        users=users,
        places=place_of(user_ids.tolist()),
        targets=targets,
        labels=_rows_in(pairs["persona_id"], personas["persona_id"]),
        visible=_visible(pairs, personas, slots[targets], filled[targets]),
        own=np.asarray(pairs["own"], np.int64),
        persona_texts=np.asarray(personas["text"], np.int64),
        persona_vectors=vectors_of(personas["vector"]).astype(np.float32, copy=False),
        slots=slots,
        filled=filled,
        known=Ragged.of_lengths(
            _rows_in(known["item_id"], item_ids)[order], np.bincount(known_users, minlength=len(user_ids))
        ),
        persona_weight=float(str(about["persona_weight"])),
        aggregation=str(about["aggregation"]),
    )
    return examples, about


def _ragged(lists: pa.ChunkedArray) -> Ragged:
    lengths = pc.list_value_length(lists).to_numpy()
    return Ragged.of_lengths(np.asarray(pc.list_flatten(lists), np.int64), lengths)


def _visible(pairs: pa.Table, personas: pa.Table, slots: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Mark (n, slots) filled slots of the targets without the masked personas."""
    masked = pairs["masked_persona_ids"].combine_chunks()
    rows = _rows_in(pa.chunked_array([masked.flatten()]), personas["persona_id"])
    pair = np.repeat(np.arange(len(pairs)), pc.list_value_length(masked).to_numpy(zero_copy_only=False))
    visible = filled.copy()
    at_masked, slot = np.nonzero(slots[pair] == rows[:, None])
    visible[pair[at_masked], slot] = False
    return visible


def _rows_in(values: pa.ChunkedArray, among: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Index of each value among distinct values, (n,). Raises PipelineError for an unknown value."""
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
    found = parser.parse_args()
    try:
        config, warehouse = load_config(found.config), Warehouse(found.warehouse)
        prepare(warehouse, found.output, Embedder(config.text_embeddings, warehouse).base_model, config)
    except PipelineError as error:
        sys.exit(f"prepared: {error}")


if __name__ == "__main__":
    main()
