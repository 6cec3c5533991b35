"""Apply the run's encoder: current personas to `persona_vectors`, liked histories to `user_vectors`."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.mapped import MappedVectors, mapped_vectors
from persona_pipeline.embeddings.vectors import lists_of
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.history_weights import history_weights, ranks
from persona_pipeline.encoder.item_embeddings import persona_inputs, profile_model, profiles, with_profiles
from persona_pipeline.encoder.text_inputs import ITEM_SOURCES, USER_SOURCES, liked_histories, persona_texts
from persona_pipeline.keyed import Keyed, Part, Source
from persona_pipeline.warehouse import Warehouse, WriteResult
from persona_pipeline.warehouse.changes import Change

_USERS_AT_ONCE = 20_000


class Encoded(NamedTuple):
    """A write of vectors: rows the table has now, and those that were encoded."""

    written: WriteResult
    vectors: int
    encoded: int

    def as_dict(self) -> dict[str, Any]:
        """Convert for a job's JSON summary."""
        return {"vectors": self.vectors, "encoded": self.encoded, "written": [self.written.as_dict()]}


class _Bucket(NamedTuple):
    """What one bucket of keys found: the rows it has, those encoded, and what it changes."""

    vectors: int
    encoded: int
    change: Change


def encoder_of_run(warehouse: Warehouse, encoder_id: str) -> Encoder:
    """Load an encoder's artefact by id. Raises PipelineError where `encoders` has no such row."""
    rows = warehouse.read("encoders", ["artefact"], where=f"encoder_id = '{encoder_id}'")
    if rows.num_rows == 0:
        raise PipelineError(f"there is no encoder {encoder_id} in the table encoders; run the encoders task first")
    return Encoder.load(warehouse.root / rows["artefact"][0].as_py())


def persona_vectors(keyed: Keyed, encoder: Encoder) -> Encoded:
    """Make `persona_vectors` hold every current persona's vector; one with unchanged text and item embedding keeps it.

    Memory: the items of a bucket with their evidence; vectors are mapped from disk.
    """
    base = keyed.warehouse.version("persona_vectors")
    stored = Source("persona_vectors", "item_id", ("encoder_id", "persona_id", "item_id", "text_hash", "profile_hash"))
    found = list(keyed.each((*ITEM_SOURCES, stored), partial(_changed_personas, encoder, keyed.folder())))
    new = ds.dataset([personas.new for personas in found])
    own, shared = (
        mapped_vectors(
            keyed.warehouse,
            keyed.query(f"SELECT {key} AS text_hash FROM new", [], new=new),
            model,
            keyed.folder() / "v",
        )
        for key, model in (("text_hash", encoder.base_model), ("profile_hash", profile_model(encoder.base_model)))
    )
    encode = partial(_encode_personas, encoder, own, shared)
    return _written(keyed, "persona_vectors", list(keyed.over(found, encode)), base)


class _ChangedPersonas(NamedTuple):
    """Personas of a bucket: its part, without rows; the file of those to encode; keys whose row goes; and how many stay."""

    part: Part
    new: str
    gone: pa.Table
    kept: int


def _changed_personas(encoder: Encoder, folder: Path, part: Part) -> _ChangedPersonas:
    known = encoder.profiles(profiles(part.rows, encoder.config))
    texts = with_profiles(persona_texts(part.rows).drop_columns(["text"]), known)
    kept = part.rows.query(
        "SELECT encoder_id, persona_id FROM persona_vectors "
        "SEMI JOIN texts USING (persona_id, item_id, text_hash, profile_hash) WHERE encoder_id = $id",
        ["persona_vectors"],
        {"id": encoder.encoder_id},
        texts=texts,
    )
    gone = part.rows.query(
        "SELECT encoder_id, persona_id FROM persona_vectors ANTI JOIN kept USING (encoder_id, persona_id)",
        ["persona_vectors"],
        kept=kept,
    )
    path = folder / f"{part.number}.parquet"
    pq.write_table(texts.filter(pc.invert(pc.is_in(texts["persona_id"], kept["persona_id"]))), path)
    return _ChangedPersonas(part.emptied(), str(path), gone, kept.num_rows)


def _encode_personas(encoder: Encoder, own: MappedVectors, shared: MappedVectors, found: _ChangedPersonas) -> _Bucket:
    new = pq.read_table(found.new)
    schema = load_contract("persona_vectors").arrow_schema()
    made = schema.empty_table()
    if new.num_rows:
        inputs = persona_inputs(shared.of(new["profile_hash"]), own.of(new["text_hash"]), encoder.config.persona_weight)
        columns = {"encoder_id": pa.repeat(encoder.encoder_id, new.num_rows), **{c: new[c] for c in new.column_names}}
        vectors = lists_of(encoder.encode_personas(inputs))
        made = pa.table({**columns, "vector": vectors}).select(schema.names).cast(schema)
    change = found.part.change_of("persona_vectors", made, found.gone)
    return _Bucket(found.kept + new.num_rows, new.num_rows, change)


def user_vectors(keyed: Keyed, encoder: Encoder, min_liked_rating: float) -> Encoded:
    """Make `user_vectors` hold every user's vector; one with the same inputs keeps it.

    Memory: the histories of a bucket, and the interaction embeddings of 20,000 users at a time; item embeddings are mapped
    from disk, each encoded once.
    """
    base = keyed.warehouse.version("user_vectors")
    folder = keyed.folder()
    items = ds.dataset(list(keyed.each(ITEM_SOURCES, partial(_items, encoder, folder))))
    model = profile_model(encoder.base_model)
    wanted = keyed.query("SELECT profile_hash AS text_hash FROM items", [], items=items)
    embedded = mapped_vectors(keyed.warehouse, wanted, model, keyed.folder() / "v")
    encoded = embedded.mapped(keyed.folder() / "v", encoder.encode_interactions)
    stored = Source("user_vectors", "user_id", ("encoder_id", "user_id", "inputs_hash"))
    encode = partial(_users, encoder, min_liked_rating, items, encoded)
    return _written(keyed, "user_vectors", list(keyed.each((USER_SOURCES[0], stored), encode)), base)


def _items(encoder: Encoder, folder: Path, part: Part) -> str:
    path = folder / f"{part.number}.parquet"
    pq.write_table(encoder.profiles(profiles(part.rows, encoder.config)), path)
    return str(path)


def _users(encoder: Encoder, min_liked_rating: float, items: ds.Dataset, encoded: MappedVectors, part: Part) -> _Bucket:
    histories = liked_histories(part.rows, min_liked_rating)
    known = part.rows.query(
        "SELECT * FROM items SEMI JOIN histories USING (item_id)", [], items=items, histories=histories
    )
    liked = with_profiles(histories, known)
    inputs = _inputs(part.rows, liked, encoder.encoder_id)
    kept = part.rows.query(
        "SELECT encoder_id, user_id FROM user_vectors SEMI JOIN inputs USING (user_id, inputs_hash) WHERE encoder_id = $id",
        ["user_vectors"],
        {"id": encoder.encoder_id},
        inputs=inputs,
    )
    gone = part.rows.query(
        "SELECT encoder_id, user_id FROM user_vectors ANTI JOIN kept USING (encoder_id, user_id)",
        ["user_vectors"],
        kept=kept,
    )
    new = inputs.filter(pc.invert(pc.is_in(inputs["user_id"], kept["user_id"])))
    schema = load_contract("user_vectors").arrow_schema()
    parts = [schema.empty_table()]
    for start in range(0, new.num_rows, _USERS_AT_ONCE):
        chunk = new.slice(start, _USERS_AT_ONCE)
        mine = liked.filter(pc.is_in(liked["user_id"], chunk["user_id"]))
        parts.append(_encode_users(encoder, encoded, mine, chunk).cast(schema))
    change = part.change_of("user_vectors", pa.concat_tables(parts), gone)
    return _Bucket(inputs.num_rows, new.num_rows, change)


def _written(keyed: Keyed, table: str, found: list[_Bucket], base: int | None) -> Encoded:
    written = keyed.warehouse.commit_changes(table, [bucket.change for bucket in found], base)
    return Encoded(written, sum(bucket.vectors for bucket in found), sum(bucket.encoded for bucket in found))


def _inputs(warehouse: Warehouse, liked: pa.Table, encoder_id: str) -> pa.Table:
    """Hash what each user's vector is made of: user_id, inputs_hash. `liked` is ordered by user and age."""
    # An interaction that weighs less than one with its weight.
    factor = pc.binary_join_element_wise(liked["interaction_id"], liked["weight"].cast(pa.string()), "*")
    weighed = pc.if_else(pc.equal(liked["weight"], 1.0), liked["interaction_id"], factor)
    numbered = liked.append_column("weighed", weighed).append_column("place", pa.array(np.arange(liked.num_rows)))
    return warehouse.query(
        """
        SELECT user_id, substr(sha256(concat_ws(chr(31), $id::VARCHAR, string_agg(weighed, ',' ORDER BY place),
                                                string_agg(profile_hash, ',' ORDER BY place))), 1, 16) AS inputs_hash
        FROM liked GROUP BY user_id ORDER BY user_id
        """,
        [],
        {"id": encoder_id},
        liked=numbered,
    )


def _encode_users(encoder: Encoder, encoded_items: MappedVectors, liked: pa.Table, inputs: pa.Table) -> pa.Table:
    """Encode users; `liked` is ordered by user and age, so each user's interactions are contiguous, newest first."""
    encoded = encoded_items.of(liked["profile_hash"])
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
            "vector": lists_of((sums / norms[:, None]).astype(np.float32)),
        }
    )
    found = inputs.take(pc.index_in(rows["user_id"], inputs["user_id"]))
    return rows.append_column("inputs_hash", found["inputs_hash"]).select(load_contract("user_vectors").names)
