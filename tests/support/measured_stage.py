"""A stage over a world of some size in a process of its own; prints the most memory it took beyond what it began with.

python measured_stage.py STAGE ITEMS WAREHOUSE
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

from persona_pipeline.config import EncodersConfig, ExtractionConfig, KeyedConfig, TextEmbeddingsConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.embeddings.cache import Embedder, text_hash
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.embed_texts import embed_everything
from persona_pipeline.encoder.user_and_persona_vectors import persona_vectors, user_vectors
from persona_pipeline.extract import by_key
from persona_pipeline.extract.by_key import Extractors
from persona_pipeline.extract.embedded.shop import read_shop
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.keyed import Keyed, keyed_work
from persona_pipeline.warehouse import Warehouse, limit_memory

D = 64
EVIDENCE, MET, USERS = 3, 8, 8  # reviews an item, interactions a user, users an item
AS_OF = date(2024, 6, 30)
BASE = EncodersConfig()


class Drawn(Embedder):
    """Vectors that depend on the text alone, without a model."""

    @property
    def _model(self) -> "Drawn":  # type: ignore[override]
        return self

    dimensions = D

    def encode(self, texts: list[str]) -> np.ndarray:
        """Draw vectors, (n, d)."""
        seeds = np.array([int(text_hash(text)[:8], 16) for text in texts], np.uint64)[:, None]
        found = np.sin((seeds % np.uint64(9973)).astype(np.float32) * np.arange(1, D + 1, dtype=np.float32))
        unit: np.ndarray = found / np.linalg.norm(found, axis=1, keepdims=True)
        return unit.astype(np.float32)


def _struct(table: str, column: str, values: dict[str, pa.Array]) -> pa.StructArray:
    """Structs of a list column, in the contract's types; fields that are not given are null."""
    wanted = load_contract(table).arrow_schema().field(column).type.value_type
    size = len(next(iter(values.values())))
    arrays = [values[f.name].cast(f.type) if f.name in values else pa.nulls(size, f.type) for f in wanted]
    return pa.StructArray.from_arrays(arrays, fields=list(wanted))


def _write(warehouse: Warehouse, table: str, columns: dict[str, pa.Array], rows: int) -> None:
    schema = load_contract(table).arrow_schema()
    arrays = [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(rows, f.type) for f in schema]
    fields = [pa.field(f.name, f.type) for f in schema]
    write_deltalake(warehouse.path(table), pa.Table.from_arrays(arrays, schema=pa.schema(fields)), mode="append")


def _lists(width: int, values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(np.arange(0, len(values) + 1, width), pa.int32()), values)


def build(warehouse: Warehouse, items: int) -> None:
    """A shop of so many items, USERS users to each, in files of 2,000 items: all that the stages read."""
    step, moment = 2_000, datetime(2024, 1, 1, tzinfo=UTC)
    for start in range(0, items, step):
        rng = np.random.default_rng(start)
        own = np.arange(start, min(items, start + step))
        ids = pa.array([f"i{n:08}" for n in own])
        reviews = [f"r{n:08}x{m}" for n in own for m in range(EVIDENCE)]
        filler = " ".join(rng.choice(["amber", "basin", "cedar", "delta", "ember"], 40))
        texts = pa.array([f"Number {name} is of the {filler}." for name in reviews])
        users, review_ids = pa.array([f"u{name}" for name in reviews]), pa.array(reviews)
        stars, when = (
            pa.repeat(5.0, len(reviews)),
            pa.repeat(pa.scalar(moment, pa.timestamp("us", "UTC")), len(reviews)),
        )
        told = {"review_id": review_ids, "user_id": users, "rating": stars, "reviewed_at": when, "text": texts}
        many, each = len(reviews), len(own)
        evidence = _lists(EVIDENCE, _struct("item_reviews", "evidence", told))
        _write(
            warehouse,
            "item_reviews",
            {"item_id": ids, "review_count": pa.repeat(EVIDENCE, each), "evidence": evidence},
            each,
        )
        of_item = pa.array(np.repeat(ids.to_numpy(zero_copy_only=False), EVIDENCE))
        line = pa.array(range(many), pa.int64())
        _write(
            warehouse,
            "reviews",
            {**told, "item_id": of_item, "source_file": pa.repeat("f", many), "source_line": line},
            many,
        )
        none = pa.array([[]] * each, pa.list_(pa.string()))
        flag = pa.repeat(True, each)
        named = {"item_id": ids, "title": pa.array([f"Thing {n}" for n in own]), "categories": none}
        _write(warehouse, "items", {**named, "has_metadata": flag, "available": flag}, each)
        people = [f"p{n:08}x{m}" for n in own for m in range(USERS)]
        met = pa.array([f"i{n:08}" for n in rng.integers(0, items, len(people) * MET)])
        names = pa.array([f"m{start + n:09}" for n in range(len(met))])
        fives, ones = pa.repeat(5.0, len(met)), pa.repeat(1.0, len(met))
        then = pa.repeat(pa.scalar(moment, pa.timestamp("us", "UTC")), len(met))
        history = {"interaction_id": names, "review_id": names, "item_id": met, "rating": fives, "weight": ones}
        structs = _struct("user_histories", "interactions", {**history, "reviewed_at": then})
        nothing = pa.array([[]] * len(people), pa.list_(pa.string()))
        counts = {"user_id": pa.array(people), "interaction_count": pa.repeat(MET, len(people))}
        columns = {**counts, "interactions": _lists(MET, structs), "reviewed_item_ids": nothing}
        _write(warehouse, "user_histories", columns, len(people))


def stages(warehouse: Warehouse) -> dict[str, Callable[[Keyed], object]]:
    """The keyed stages, in the order of a night."""
    embedder, config = Drawn(TextEmbeddingsConfig(commit_texts=1_024), warehouse), ExtractionConfig()
    encoder = Encoder("e", embedder.base_model, "3", np.eye(D), np.eye(D), {}, Prior.none(), BASE, "d")

    def extractors(stage: str) -> Extractors:
        shop = read_shop(warehouse) if stage == "item_personas" else None
        make = partial(make_extractor, config, embedder, warehouse, AS_OF, shop=shop)
        return Extractors(make, embedder, make())

    return {
        "review_aspects": lambda keyed: by_key.review_aspects(keyed, extractors("review_aspects")),
        "item_summaries": lambda keyed: by_key.item_summaries(keyed, extractors("item_summaries"), None),
        "item_personas": lambda keyed: by_key.item_personas(keyed, extractors("item_personas"), config, None, AS_OF),
        "text_embeddings": lambda keyed: embed_everything(keyed, embedder, 4.0, BASE),
        "persona_vectors": lambda keyed: persona_vectors(keyed, encoder),
        "user_vectors": lambda keyed: user_vectors(keyed, encoder, 4.0),
    }


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def _die_after(files: int) -> None:
    write_table, written = pq.write_table, itertools.count(1)

    def dying(rows: pa.Table, path: Path, **options: object) -> None:
        write_table(rows, path, **options)
        if "part-" in Path(path).name and next(written) == files:
            os.kill(os.getpid(), signal.SIGKILL)

    pq.write_table = dying


def main(
    stage: str, items: int, root: Path, bucket_bytes: int = 1 << 17, memory: int = 48 << 20, dies: int = 0
) -> None:
    """Run a stage, after the world was made by the stage `build`."""
    warehouse = Warehouse(root)
    if stage == "build":
        build(warehouse, items)
        return
    limit_memory(memory)
    if dies:
        _die_after(dies)
    work = stages(warehouse)[stage]
    with keyed_work(warehouse, KeyedConfig(bucket_bytes=bucket_bytes), stage) as keyed:
        work(keyed)
    sys.stdout.write(f"{_status('VmHWM:')}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), *map(int, sys.argv[4:]))
