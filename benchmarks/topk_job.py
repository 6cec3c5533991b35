"""The whole top-k job against Spark ALS on the same users and items: `topk_job.py [--users N --items N --rounds N --k N]`.

Ours: vectors and histories to ranked users, with contributions, explanations, evidence and the checks of the contract,
written to Delta, as `jobs.user_item_topk` does on a first night; also the ranking alone, without texts. Theirs:
`recommendForAllUsers` of a fitted model of rank 64, written to Delta. One Spark session, rounds in turns; the first warms both
up and is not counted. Then ours with twice the users and with twice the items, each in a process of its own, to see what
grows and how much memory it takes: the largest sum over the JVM and Python workers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _processes import Watch
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console
from rich.table import Table

from persona_pipeline.config import EncodersConfig, SparkConfig, load_config
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.score.recommend import ranked_users, recommendations
from persona_pipeline.spark.session import session
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.spark_tables import SparkWarehouse

DIMENSIONS, PERSONAS, HISTORY, RANK = 384, 5, 10, 64
BLOCK_BYTES = 256 * 2**20


@dataclass(frozen=True)
class World:
    """Files of made-up users and items, and the ranking over them."""

    folder: Path
    ranking: RankingInputs

    def frame(self, spark: SparkSession, name: str) -> DataFrame:
        """One of the files."""
        return spark.read.parquet(str(self.folder / f"{name}.parquet"))


def make(folder: Path, users: int, items: int, k: int) -> World:
    """Unit vectors at random around as many centres as there are dimensions; every user met ten items."""
    draw = np.random.default_rng(0)
    profiles = _unit(draw.standard_normal((items, DIMENSIONS)).astype(np.float32))
    personas = _unit(
        np.repeat(profiles, PERSONAS, axis=0) + 0.5 * draw.standard_normal((items * PERSONAS, DIMENSIONS)) / 20
    ).astype(np.float32)
    names = np.array([f"item-{n:07d}" for n in range(items)])
    ids = np.array([f"{name}-{n}" for name in names for n in range(PERSONAS)])
    met = draw.integers(items, size=(users, HISTORY))
    weights = 0.5 ** (np.arange(HISTORY) / 3)
    norms = np.linalg.norm(np.stack([weights @ profiles[row] for row in met]), axis=1)
    who = [f"user-{n:07d}" for n in range(users)]
    offsets = pa.array(np.arange(users + 1, dtype=np.int32) * HISTORY)
    interactions = pa.StructArray.from_arrays(
        [
            pa.array([f"r-{n}" for n in range(users * HISTORY)]),
            pa.array(names[met.ravel()]),
            pa.array(names[met.ravel()]),
            pa.array((weights / norms[:, None]).ravel()),
        ],
        ["review_id", "item_id", "profile_hash", "weight"],
    )
    said = "Somebody who plays every night and wants strings that stay in tune for weeks."
    evidence = [{"kind": "review", "ref": "r-1", "start": 0, "end": 23, "quote": "They never slip on me."}] * 2
    tables = {
        "users": {"user_id": who, "interactions": pa.ListArray.from_arrays(offsets, interactions)},
        "histories": {
            "user_id": who,
            "reviewed_item_ids": pa.ListArray.from_arrays(offsets, pa.array(names[met.ravel()])),
        },
        "profiles": {"text_hash": names, "vector": _lists(profiles)},
        "personas": {
            "persona_id": ids,
            "name": pa.repeat("Gigging players", len(ids)),
            "preference_rationale": pa.repeat(said, len(ids)),
            "persona_source": pa.repeat("embedded", len(ids)),
            "stance": pa.repeat("likes", len(ids)),
            "topic": pa.nulls(len(ids), pa.string()),
            "evidence": pa.array([evidence] * len(ids)),
        },
        "titles": {"item_id": names, "item_title": names},
        "ratings": {
            "user": np.repeat(np.arange(users), HISTORY).astype(np.int32),
            "item": met.ravel().astype(np.int32),
            "rating": np.ones(users * HISTORY, np.float32),
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    maps = np.eye(DIMENSIONS, dtype=np.float32)
    liked = dict(zip(names.tolist(), draw.integers(1, 500, items).tolist(), strict=True))
    encoder = Encoder("encoder", "base", "2", maps, maps, liked, Prior.none(), EncodersConfig(), "digest")
    rows = pa.table({"item_id": np.repeat(names, PERSONAS), "persona_id": ids, "vector": _lists(personas)})
    return World(folder, RankingInputs.of(encoder, rows, k, BLOCK_BYTES))


def compare(users: int, items: int, k: int, rounds: int, folder: Path) -> dict[str, float]:
    """Seconds of the job, of the ranking alone and of ALS, medians, in one session."""
    world = make(folder / "world", users, items, k)
    spark = _session()
    # Fitting is not what is compared; every item has a factor, since ALS only ranks what it has seen.
    rest = spark.createDataFrame([(0, item, 1.0) for item in range(items)], "user int, item int, rating float")
    ratings = world.frame(spark, "ratings").unionByName(rest)
    model = ALS(rank=RANK, maxIter=1, implicitPrefs=True, userCol="user", itemCol="item", seed=0).fit(ratings)
    sides: dict[str, Callable[[Path], None]] = {
        "job": lambda to: job(spark, world, to),
        "ranking": lambda to: _written(ranked(spark, world), to),
        "als": lambda to: _written(model.recommendForAllUsers(k), to),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            began = time.perf_counter()
            side(folder / f"{name}-{turn}")
            if turn:
                seconds[name].append(time.perf_counter() - began)
    spark.stop()
    return {name: median(values) for name, values in seconds.items()}


def ranked(spark: SparkSession, world: World) -> DataFrame:
    """Ranked users with contributions."""
    users, histories, profiles = (world.frame(spark, name) for name in ("users", "histories", "profiles"))
    return ranked_users(users, histories, profiles, world.ranking)


def job(spark: SparkSession, world: World, folder: Path) -> None:
    """What `jobs.user_item_topk` does on a first night, from its vectors on."""
    personas, titles = world.frame(spark, "personas"), world.frame(spark, "titles")
    own = spark.createDataFrame(
        [], "user_id string, own array<struct<review_id:string,sentence:string,topics:array<string>>>"
    )
    rows = recommendations(ranked(spark, world), personas, titles, own, "encoder", date(2024, 1, 1), 8)
    SparkWarehouse(spark, Warehouse(folder)).replace("user_item_topk", rows)


def alone(users: int, items: int, k: int, folder: Path) -> dict[str, float]:
    """Seconds of the job, warmed up, and the most memory its processes held together."""
    world = make(folder / "world", users, items, k)
    spark = _session()
    job(spark, world, folder / "warm")
    with Watch() as watch:
        began = time.perf_counter()
        job(spark, world, folder / "job")
        seconds = time.perf_counter() - began
    spark.stop()
    return {"seconds": seconds, "workers_mb": watch.python / 2**20, "all_mb": watch.memory / 2**20}


def _session() -> SparkSession:
    local = load_config("local").spark
    spark = session(SparkConfig(driver_memory="6g", shuffle_partitions=4, conf=local.conf), "topk_job")
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "1000")
    return spark


def _written(rows: DataFrame, folder: Path) -> None:
    rows.write.format("delta").save(str(folder))


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _lists(matrix: np.ndarray) -> pa.ListArray:
    offsets = pa.array(np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1])
    return pa.ListArray.from_arrays(offsets, pa.array(matrix.reshape(-1).astype(np.float32)))


def _apart(users: int, items: int, k: int) -> dict[str, float]:
    """`alone` in a process of its own: no JVM or allocator that another size has grown."""
    command = [sys.executable, __file__, "--alone", "--users", str(users), "--items", str(items), "--k", str(k)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(users: int, items: int, k: int, rounds: int, console: Console) -> dict[str, object]:
    """Compare, then grow."""
    with tempfile.TemporaryDirectory() as scratch:
        seconds = compare(users, items, k, rounds, Path(scratch))
    arithmetic = PERSONAS * DIMENSIONS / RANK
    table = Table(f"{users:,} users, {items:,} items, top {k}", "seconds", "ALS's, times", title="medians")
    for name, told in (("job", "the whole job"), ("ranking", "ranking, without texts"), ("als", "ALS, rank 64")):
        table.add_row(told, f"{seconds[name]:.2f}", f"{seconds['als'] / seconds[name]:.2f}")
    console.print(table)
    sizes = {"once": (users, items), "users twice": (2 * users, items), "items twice": (users, 2 * items)}
    grown = {name: _apart(*size, k) for name, size in sizes.items()}
    table = Table("the job alone", "seconds", "times", "workers MB", "with the JVM MB")
    for name, found in grown.items():
        times = found["seconds"] / grown["once"]["seconds"]
        table.add_row(
            name, f"{found['seconds']:.2f}", f"{times:.2f}", f"{found['workers_mb']:.0f}", f"{found['all_mb']:.0f}"
        )
    console.print(table)
    return {
        "users": users,
        "items": items,
        "k": k,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "ratio_vs_als": round(seconds["als"] / seconds["job"], 3),
        "ratio_of_ranking_vs_als": round(seconds["als"] / seconds["ranking"], 3),
        "arithmetic_vs_als": round(arithmetic, 1),
        "grown": {name: {key: round(value, 2) for key, value in found.items()} for name, found in grown.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=4_096)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        with tempfile.TemporaryDirectory() as scratch:
            print(json.dumps(alone(given.users, given.items, given.k, Path(scratch))))
    else:
        print(json.dumps(main(given.users, given.items, given.k, given.rounds, Console(width=120))))
