"""Apply the run's encoder: current personas to `persona_vectors`, liked histories to `user_vectors`."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.cache import with_vectors
from persona_pipeline.embeddings.vectors import vectors_of
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.history_weights import history_weights, ranks
from persona_pipeline.encoder.item_embeddings import persona_inputs, profile_model, profiles, with_profiles
from persona_pipeline.encoder.text_inputs import liked_histories, persona_texts
from persona_pipeline.warehouse import Warehouse

_USERS_AT_ONCE = 20_000


def encoder_of_run(warehouse: Warehouse, encoder_id: str) -> Encoder:
    """Load an encoder's artefact by id. Raises PipelineError where `encoders` has no such row."""
    rows = warehouse.read("encoders", ["artefact"], where=f"encoder_id = '{encoder_id}'")
    if rows.num_rows == 0:
        raise PipelineError(f"there is no encoder {encoder_id} in the table encoders; run the encoders task first")
    return Encoder.load(warehouse.root / rows["artefact"][0].as_py())


def persona_vectors(warehouse: Warehouse, encoder: Encoder) -> tuple[pa.Table, int]:
    """Compute rows of `persona_vectors`, and the number encoded.

    A persona with unchanged text and item embedding keeps its vector.
    """
    texts = with_profiles(
        persona_texts(warehouse).drop_columns(["text"]), encoder.profiles(profiles(warehouse, encoder.config))
    )
    kept = warehouse.query(
        "SELECT persona_vectors.* FROM persona_vectors "
        "SEMI JOIN texts USING (persona_id, item_id, text_hash, profile_hash) WHERE encoder_id = $id",
        ["persona_vectors"],
        {"id": encoder.encoder_id},
        texts=texts,
    )
    new = texts.filter(pc.invert(pc.is_in(texts["persona_id"], kept["persona_id"])))
    schema = load_contract("persona_vectors").arrow_schema()
    if new.num_rows == 0:
        return kept.cast(schema), 0
    own = vectors_of(with_vectors(warehouse, new, encoder.base_model)["vector"])
    shared = vectors_of(with_vectors(warehouse, new, profile_model(encoder.base_model), "profile_hash")["vector"])
    vectors = encoder.encode_personas(persona_inputs(shared, own, encoder.config.persona_weight))
    columns = {"encoder_id": pa.repeat(encoder.encoder_id, new.num_rows), **{c: new[c] for c in texts.column_names}}
    encoded = pa.table({**columns, "vector": _lists(vectors)}).select(schema.names).cast(schema)
    return pa.concat_tables([kept.cast(schema), encoded]), new.num_rows


def user_vectors(warehouse: Warehouse, encoder: Encoder, min_liked_rating: float) -> tuple[pa.Table, int]:
    """Compute rows of `user_vectors`, and the number encoded; a user with the same inputs keeps the vector.

    Memory: the rows, and the interaction embeddings of 20,000 users at a time.
    """
    histories = liked_histories(warehouse, min_liked_rating)
    liked = with_profiles(histories, encoder.profiles(profiles(warehouse, encoder.config)))
    weighed = liked.append_column("weighed", _weighed(liked))
    users = weighed.group_by("user_id", use_threads=False).aggregate([("weighed", "list"), ("profile_hash", "list")])
    hashes = [
        hashlib.sha256(f"{encoder.encoder_id}\x1f{','.join(r)}\x1f{','.join(t)}".encode()).hexdigest()[:16]
        for r, t in zip(users["weighed_list"].to_pylist(), users["profile_hash_list"].to_pylist(), strict=True)
    ]
    inputs = pa.table({"user_id": users["user_id"], "inputs_hash": pa.array(hashes, pa.string())})
    kept = warehouse.query(
        "SELECT user_vectors.* FROM user_vectors SEMI JOIN inputs USING (user_id, inputs_hash) WHERE encoder_id = $id",
        ["user_vectors"],
        {"id": encoder.encoder_id},
        inputs=inputs,
    )
    new = inputs.filter(pc.invert(pc.is_in(inputs["user_id"], kept["user_id"])))
    schema = load_contract("user_vectors").arrow_schema()
    parts = [kept.cast(schema)]
    for start in range(0, new.num_rows, _USERS_AT_ONCE):
        chunk = new.slice(start, _USERS_AT_ONCE)
        mine = liked.filter(pc.is_in(liked["user_id"], chunk["user_id"]))
        parts.append(_encode_users(warehouse, encoder, mine, chunk).cast(schema))
    return pa.concat_tables(parts), new.num_rows


def _weighed(liked: pa.Table) -> pa.ChunkedArray:
    """Ids of interactions, with the weight of those that weigh less than one."""
    factor = pc.binary_join_element_wise(liked["interaction_id"], liked["weight"].cast(pa.string()), "*")
    return pc.if_else(pc.equal(liked["weight"], 1.0), liked["interaction_id"], factor)


def _encode_users(warehouse: Warehouse, encoder: Encoder, liked: pa.Table, inputs: pa.Table) -> pa.Table:
    """Encode users; `liked` is ordered by user and age, so each user's interactions are contiguous, newest first."""
    met = with_vectors(warehouse, liked, profile_model(encoder.base_model), "profile_hash")
    encoded = encoder.encode_interactions(vectors_of(met["vector"]))
    user_of = liked["user_id"].to_numpy(zero_copy_only=False).astype(str)
    user_ids, starts, counts = np.unique(user_of, return_index=True, return_counts=True)
    days = liked["day"].to_numpy(zero_copy_only=False)
    distances = ranks(counts) if encoder.config.recency == "rank" else days[starts].repeat(counts) - days
    strengths = liked["weight"].to_numpy(zero_copy_only=False)
    weights = history_weights(distances, counts, encoder.config.half_life, strengths)
    sums = np.add.reduceat(encoded * weights[:, None], starts, axis=0)
    norms = np.linalg.norm(sums, axis=1)
    structs = pa.StructArray.from_arrays(
        [
            *(liked[c].combine_chunks() for c in ("review_id", "item_id", "profile_hash")),
            pa.array(weights / np.repeat(norms, counts)),
        ],
        ["review_id", "item_id", "profile_hash", "weight"],
    )
    offsets = pa.array(np.append(starts, len(user_of)).astype(np.int32))
    rows = pa.table(
        {
            "encoder_id": pa.repeat(encoder.encoder_id, len(user_ids)),
            "user_id": pa.array(user_ids, pa.string()),
            "interactions": pa.ListArray.from_arrays(offsets, structs),
            "vector": _lists((sums / norms[:, None]).astype(np.float32)),
        }
    )
    found = inputs.take(pc.index_in(rows["user_id"], inputs["user_id"]))
    return rows.append_column("inputs_hash", found["inputs_hash"]).select(load_contract("user_vectors").names)


def _lists(matrix: np.ndarray) -> pa.ListArray:
    offsets = pa.array(np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1])
    return pa.ListArray.from_arrays(offsets, pa.array(matrix.reshape(-1)))
