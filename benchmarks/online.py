"""What serving costs: `online.py FOLDER [--rows N] [--buckets N] ...`.

Writes a warehouse of made-up recommendations of realistic width into FOLDER, through the contracts and in the order a
night leaves: a file or more per bucket, rows by user and rank, small row groups. A run that was ended goes on where it
stopped, and a warehouse that is there is only measured. Then, one user at a time: `top(20)` by a new `Recommendations`
object, the pages of its tables out of the page cache (cold), and by one that has answered before (warm); `score` of 20
candidates for users not asked about before, and again for the same ones. `cpu` is what the thread itself worked.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, WriterProperties, write_deltalake
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from persona_pipeline.config import PipelineConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.item_embeddings import profile_model
from persona_pipeline.serving import Recommendations
from persona_pipeline.serving.table_snapshot import _bounds
from persona_pipeline.warehouse import Warehouse

K, CANDIDATES, PERSONAS, DIMENSIONS, LONGEST_HISTORY = 20, 20, 5, 384, 20
_BUCKETS_AT_ONCE = 4  # to a commit
BASE_MODEL, ENCODER, AS_OF = "made-up@1:256", "enc1", date(2024, 1, 1)
WORDS = ["light", "sturdy", "warm", "bright", "for", "travel", "stage", "home", "quiet", "strings", "grip", "handle"]


def build(root: Path, users: int, buckets: int, items: int, scored: int, group_rows: int) -> None:
    """A warehouse with one release."""
    rng = np.random.default_rng(0)
    warehouse = Warehouse(root)
    config = PipelineConfig.model_validate({"user_item_topk": {"k": K, "user_buckets": buckets}})
    ids = np.array([f"B{n:09d}" for n in range(items)])
    _lists(warehouse, rng, users, buckets, ids, group_rows)
    counts = dict(zip(ids.tolist(), rng.zipf(1.5, items).clip(1, 10_000).tolist(), strict=True))
    hashes = {item: f"profile-{item}" for item in ids.tolist()}
    maps = [np.eye(DIMENSIONS, dtype=np.float32) for _ in range(2)]
    made = Encoder(ENCODER, BASE_MODEL, "2", maps[0], maps[1], counts, Prior.none(), config.encoders, "d", hashes)
    made.save(root / "_artefacts" / "encoders" / ENCODER)
    profiles = _unit(rng, items)
    profile_rows = {"text_hash": list(hashes.values()), "base_model": [profile_model(BASE_MODEL)] * items}
    warehouse.append("text_embeddings", pa.table({**profile_rows, "vector": list(profiles)}))
    personas = items * PERSONAS
    of_item = np.repeat(ids, PERSONAS)
    rows = {
        "encoder_id": [ENCODER] * personas,
        "persona_id": [f"{item}-{n % PERSONAS}" for n, item in enumerate(of_item.tolist())],
        "item_id": of_item,
        "text_hash": ["h"] * personas,
        "profile_hash": [hashes[item] for item in of_item.tolist()],
        "vector": list(_unit(rng, personas)),
    }
    warehouse.append("persona_vectors", pa.table(rows))
    _user_vectors(warehouse, rng, scored, profiles, ids)
    _rest(warehouse, config, users)


def _lists(
    warehouse: Warehouse, rng: np.random.Generator, users: int, buckets: int, items: np.ndarray, group_rows: int
) -> None:
    names = np.array([user_name(n) for n in range(users)])
    bucket = np.array([zlib.crc32(name.encode()) % buckets for name in names.tolist()])
    order = np.lexsort((names, bucket))
    schema = load_contract("user_item_topk").arrow_schema()
    bare = pa.schema([pa.field(field.name, field.type) for field in schema])
    pool = pa.array([" ".join(rng.choice(WORDS, 38)) for _ in range(20_000)])
    quotes = pa.array([" ".join(rng.choice(WORDS, 10)) for _ in range(20_000)])

    def batches(chosen: np.ndarray) -> Iterator[pa.RecordBatch]:
        for start in range(0, len(chosen), 2_000):
            part = chosen[start : start + 2_000]
            yield _rows(rng, names[part], bucket[part], items, pool, quotes).cast(bare).to_batches()[0]

    path = warehouse.path("user_item_topk")
    written = DeltaTable(path).version() + 1 if DeltaTable.is_deltatable(path) else 0  # by a run that was ended
    cuts = np.searchsorted(bucket[order], np.arange(0, buckets + _BUCKETS_AT_ONCE, _BUCKETS_AT_ONCE))
    for start, end in list(pairwise(cuts.tolist()))[written:]:
        write_deltalake(
            path,
            pa.RecordBatchReader.from_batches(bare, batches(order[start:end])),
            mode="append",
            partition_by=["user_bucket"],
            writer_properties=WriterProperties(max_row_group_size=group_rows, compression="SNAPPY"),
        )


def _rows(
    rng: np.random.Generator,
    users: np.ndarray,
    buckets: np.ndarray,
    items: np.ndarray,
    pool: pa.Array,
    quotes: pa.Array,
) -> pa.Table:
    n = len(users) * K
    chosen = items[rng.integers(0, len(items), n)]
    spans = pa.StructArray.from_arrays(
        [
            pa.array(["review"] * (2 * n)),
            _ids("R", rng.integers(0, 10**9, 2 * n)),
            pa.array(rng.integers(0, 500, 2 * n), pa.int32()),
            pa.array(rng.integers(500, 600, 2 * n), pa.int32()),
            quotes.take(pa.array(rng.integers(0, len(quotes), 2 * n))),
        ],
        ["kind", "ref", "start", "end", "quote"],
    )
    # As many shares as the user has interactions, most have few, and one of popularity.
    history = np.repeat(np.minimum(1 + rng.geometric(0.14, len(users)), LONGEST_HISTORY), K)
    ends = np.concatenate([[0], np.cumsum(history + 1)])
    popularity = np.zeros(ends[-1], bool)
    popularity[ends[1:] - 1] = True
    none = pa.array(popularity)
    shares = pa.StructArray.from_arrays(
        [
            pa.array(np.where(popularity, "popularity", "interaction")),
            pa.compute.if_else(none, None, _ids("R", rng.integers(0, 10**9, ends[-1]))),
            pa.compute.if_else(none, None, pa.array(items[rng.integers(0, len(items), ends[-1])])),
            pa.array(np.round(rng.random(ends[-1]), 9)),
        ],
        ["kind", "review_id", "item_id", "share"],
    )
    return pa.table(
        {
            "user_id": np.repeat(users, K),
            "rank": pa.array(np.tile(np.arange(1, K + 1), len(users)), pa.int32()),
            "item_id": chosen,
            "item_title": pa.array(np.char.add("An item with a title of some length, ", chosen)),
            "score": np.round(-np.sort(-rng.random((len(users), K)), axis=1).ravel(), 9),
            "persona_id": np.char.add(chosen, "-1"),
            "persona_name": ["Weekend travellers"] * n,
            "explanation": pool.take(pa.array(rng.integers(0, len(pool), n))),
            "evidence": pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * n + 1, 2), pa.int32()), spans),
            "contributions": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), shares),
            "recommendation_source": ["persona"] * n,
            "encoder_id": [ENCODER] * n,
            "changed_as_of": [AS_OF] * n,
            "user_bucket": pa.array(np.repeat(buckets, K), pa.int32()),
        }
    )


def _user_vectors(
    warehouse: Warehouse, rng: np.random.Generator, users: int, profiles: np.ndarray, items: np.ndarray
) -> None:
    counts = np.minimum(1 + rng.geometric(0.14, users), LONGEST_HISTORY)
    ends = np.concatenate([[0], np.cumsum(counts)])
    met = rng.integers(0, len(items), ends[-1])
    sums = np.add.reduceat(profiles[met], ends[:-1], axis=0)
    norms = np.linalg.norm(sums, axis=1)
    interactions = pa.StructArray.from_arrays(
        [
            _ids("R", rng.integers(0, 10**9, ends[-1])),
            pa.array(items[met]),
            pa.array(np.char.add("profile-", items[met])),
            pa.array(1 / np.repeat(norms, counts).astype(np.float64)),
        ],
        ["review_id", "item_id", "profile_hash", "weight"],
    )
    rows = {
        "encoder_id": [ENCODER] * users,
        "user_id": [user_name(n) for n in range(users)],
        "interactions": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), interactions),
        "inputs_hash": ["h"] * users,
        "vector": list((sums / norms[:, None]).astype(np.float32)),
    }
    warehouse.append("user_vectors", pa.table(rows))


def _rest(warehouse: Warehouse, config: PipelineConfig, users: int) -> None:
    histories = load_contract("user_histories").arrow_schema()
    known = pa.table({"user_id": [user_name(n) for n in range(users)]})
    for name in histories.names[1:]:
        filler = pa.scalar(0 if name == "interaction_count" else [], histories.field(name).type)
        known = known.append_column(name, pa.repeat(filler, users))
    write_deltalake(warehouse.path("user_histories"), known)
    write_deltalake(warehouse.path("default_topk"), load_contract("default_topk").arrow_schema().empty_table())
    about = {"encoder_id": ENCODER, "artefact": f"_artefacts/encoders/{ENCODER}"}
    write_deltalake(warehouse.path("encoders"), pa.Table.from_pylist([about]))
    row = {
        "release_id": "made-up", "as_of": AS_OF, "parent_release_id": None, "verdict": "published", "reasons": [],
        "encoder_id": ENCODER, "config_digest": "c", "config": config.model_dump_json(), "metrics": [],
        "table_versions": [{"table": table, "version": version} for table, version in warehouse.versions().items()],
    }  # fmt: skip
    warehouse.append("releases", pa.Table.from_pylist([row], schema=load_contract("releases").arrow_schema()))


def measure(root: Path, users: int, items: int, scored: int, cold: int, warm: int) -> dict[str, Any]:
    """Milliseconds and microseconds, and what stays in memory."""
    rng = np.random.default_rng(1)
    asked = [user_name(n) for n in rng.integers(0, users, cold + 2 * warm).tolist()]
    figures: dict[str, Any] = {}
    files = [Path(uri) for table in root.glob("*/_delta_log") for uri in table.parent.rglob("*") if uri.is_file()]

    def forget() -> None:
        _bounds.cache_clear()
        for path in files:
            _evict(path)

    def from_nothing(user: str) -> None:
        Recommendations(root).top(user, K)

    figures["resident_mb_imports"] = _resident()
    figures |= _spread("top_cold_ms", [_timed(from_nothing, user, forget) for user in asked[:cold]], 1e3)
    recommendations = Recommendations(root)
    for user in asked[cold : cold + warm]:
        recommendations.top(user, K)
    again = [_timed(lambda user: recommendations.top(user, K), user) for user in asked[cold + warm :]]
    figures |= _spread("top_warm_ms", again, 1e3)
    figures["resident_mb_top"] = _resident()
    first = time.perf_counter()
    recommendations.score(user_name(0), ["nothing"])
    figures["vectors_loaded_s"] = round(time.perf_counter() - first, 2)
    known = [f"B{n:09d}" for n in range(items)]
    people = [user_name(n) for n in rng.choice(np.arange(1, scored), 500, replace=False).tolist()]
    slates = [rng.choice(known, CANDIDATES).tolist() for _ in people]
    for name in ("score_first_us", "score_again_us"):
        seconds = [_timed(lambda pair: recommendations.score(*pair), pair) for pair in zip(people, slates, strict=True)]
        figures |= _spread(name, seconds, 1e6)
    figures["resident_mb_score"] = _resident()
    return figures


def user_name(n: int) -> str:
    """Ids in no order of theirs."""
    return f"A{(n * 2_654_435_761) % 2**40:012X}"


def _ids(prefix: str, numbers: np.ndarray) -> pa.Array:
    return pa.compute.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def _unit(rng: np.random.Generator, rows: int) -> np.ndarray:
    vectors = rng.standard_normal((rows, DIMENSIONS), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _timed(
    call: Callable[[Any], object], argument: Any, before: Callable[[], None] | None = None
) -> tuple[float, float]:
    """Seconds by the clock, and of this thread's processor: on a busy machine the clock also counts waiting for it."""
    if before:
        before()
    started, worked = time.perf_counter(), time.thread_time()
    call(argument)
    return time.perf_counter() - started, time.thread_time() - worked


def _spread(name: str, seconds: list[tuple[float, float]], unit: float) -> dict[str, float]:
    clock, processor = np.array(seconds).T * unit
    return {
        f"{name}_p50": round(float(np.percentile(clock, 50)), 2),
        f"{name}_p99": round(float(np.percentile(clock, 99)), 2),
        f"{name}_cpu_p50": round(float(np.percentile(processor, 50)), 2),
    }


def _evict(path: Path) -> None:
    """Have the kernel drop a file's clean pages: no other program's."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 2**20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--buckets", type=int, default=256)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--scored-users", type=int, default=50_000)
    parser.add_argument("--group-rows", type=int, default=500, help="rows of a row group")
    parser.add_argument("--cold", type=int, default=100)
    parser.add_argument("--warm", type=int, default=2_000)
    arguments = parser.parse_args()
    people = arguments.rows // K
    scored = min(arguments.scored_users, people)
    if not (arguments.folder / "releases").is_dir():
        began = time.perf_counter()
        build(arguments.folder, people, arguments.buckets, arguments.items, scored, arguments.group_rows)
        print(f"written in {time.perf_counter() - began:.0f} s", flush=True)
        sys.exit(
            subprocess.run([sys.executable, *sys.argv], check=False).returncode
        )  # whose memory is the reader's alone
    stored = DeltaTable(str(arguments.folder / "user_item_topk"))
    sizes = pa.table(stored.get_add_actions(flatten=True))["size_bytes"].to_pylist()
    found = {"rows": people * K, "files": len(sizes), "megabytes": round(sum(sizes) / 2**20)}
    with threadpool_limits(1):  # a service answers many at once; threads within one answer would wait for each other
        found |= measure(arguments.folder, people, arguments.items, scored, arguments.cold, arguments.warm)
    shown = Table("measure", "", box=None)
    for measured, value in found.items():
        shown.add_row(measured, f"{value:,}")
    Console().print(shown)
    print(json.dumps(found))
