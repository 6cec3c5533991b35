"""Forty items and sixty users without tables: personas, histories and limits, and the frames a ranking is given."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from helpers import BASE_MODEL
from scipy.sparse import csr_array

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

D, K = 12, 5
ITEMS = [f"i{n:02d}" for n in range(40)]
TWINS = ("i10", "i11")  # the same personas: a tie in every list
USERS = [f"u{n:02d}" for n in range(60)]
ENCODER = Encoder(
    "enc", BASE_MODEL, "2", np.eye(D, dtype=np.float32), np.eye(D, dtype=np.float32), {"i03": 9, "i10": 4, "i11": 4},
    Prior(np.array(["i01", "i02", "i03"]), csr_array(np.array([[0, 0.4, 1], [0.4, 0, 0], [1, 0, 0]]))),
    EncodersConfig(popularity_weight=0.1, prior="ease", prior_weight=0.5), "digest",
)  # fmt: skip
USER_VECTORS = "user_id string, inputs_hash string, "
USER_VECTORS += "interactions array<struct<review_id:string,item_id:string,profile_hash:string,weight:double>>"

World = dict[str, Any]


def vector(name: str) -> np.ndarray:
    """A unit vector of its own for every name."""
    draw = np.random.default_rng(list(name.encode())).standard_normal(D)
    unit: np.ndarray = draw / np.linalg.norm(draw)
    return unit


def world() -> World:
    """What each item's personas say, what each user met, and what each user must not be recommended."""
    texts = {item: [f"{item}-{n}" for n in range(1 + number % 4)] for number, item in enumerate(ITEMS)}
    texts[TWINS[1]] = texts[TWINS[0]]
    draw = np.random.default_rng(5)
    met = {
        user: sorted(draw.choice(ITEMS, 1 + number % 6, replace=False).tolist()) for number, user in enumerate(USERS)
    }
    seen = {user: list(items) for user, items in met.items()}
    seen["u59"] = ITEMS[:-3]  # a list that is not full
    only = {"u10": ["i04", "i05", "i30"], "u11": ITEMS[::2]}  # one list that is not full, one that is
    fused = {"u05": ["i30", "i02", "i09"], "u10": ["i31", "i30"]}
    return {"texts": texts, "met": met, "seen": seen, "only": only, "fused": fused}


def personas(world: World) -> pa.Table:
    rows = [
        {"item_id": item, "persona_id": f"{item}#{n}", "text_hash": text, "profile_hash": item, "vector": vector(text)}
        for item, texts in sorted(world["texts"].items())
        for n, text in enumerate(texts)
    ]
    return pa.Table.from_pylist([{**row, "vector": row["vector"].astype(np.float32)} for row in rows])


def frames(spark: "SparkSession", world: World) -> tuple["DataFrame", "DataFrame", "DataFrame"]:
    """user_vectors, user_histories and the profiles of text_embeddings."""
    users = []
    for user, items in world["met"].items():
        weights = 0.5 ** np.arange(len(items))
        norm = np.linalg.norm((np.stack([vector(item) for item in items]) * weights[:, None]).sum(0))
        rows = [(f"{user}-{i}", i, i, float(w / norm)) for i, w in zip(items, weights, strict=True)]
        users.append((user, ",".join(items), rows))
    schema = (
        "user_id string, reviewed_item_ids array<string>, candidate_item_ids array<string>, "
        "candidate_ranks array<struct<item_id: string, rank: int>>"
    )
    limits = [
        (
            user,
            seen,
            world["only"].get(user),
            list(zip(world["fused"].get(user, []), range(1, 99), strict=False)) or None,
        )
        for user, seen in world["seen"].items()
    ]
    histories = spark.createDataFrame(limits, schema)
    profiles = [(item, vector(item).tolist()) for item in ITEMS]
    return (
        spark.createDataFrame(users, USER_VECTORS),
        histories,
        spark.createDataFrame(profiles, "text_hash string, vector array<float>"),
    )
