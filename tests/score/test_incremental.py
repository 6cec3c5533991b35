"""Ranking what changed against ranking everybody, on Spark: the same rows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from helpers import BASE_MODEL, put_all, shop
from publishing import run
from scipy.sparse import csr_array

from persona_pipeline.config import EncodersConfig, load_config
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.publish.releases import Release, served
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.warehouse import Warehouse

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


def rewritten(world: World, **texts: list[str] | None) -> World:
    """Personas of some items said anew; None takes the item away."""
    changed = {**world["texts"], **texts}
    return {**world, "texts": {item: said for item, said in changed.items() if said is not None}}


def with_users(world: World, met: dict[str, list[str] | None]) -> World:
    """Other histories; None takes the user away."""
    kept = {user: items for user, items in {**world["met"], **met}.items() if items is not None}
    seen = {user: items if user in met else world["seen"][user] for user, items in kept.items()}
    return {**world, "met": kept, "seen": seen}


FEW = {"i04": ["i04 said anew", "i04-1"], "i40": ["a newcomer"], "i20": None, "i25": None}
POPULAR = {"i03": ["nobody likes it any more"]}
NIGHTS = {
    "nothing": world(),
    "items said anew, new, and gone": rewritten(world(), **FEW),
    "what many were recommended": rewritten(world(), **POPULAR),
    "one of two twins": rewritten(world(), i11=["no twin any more"]),
    "back among twins": rewritten(world(), i12=world()["texts"]["i10"]),
    "other candidates": {**world(), "only": {"u10": ["i04", "i05", "i31"], "u12": ITEMS[:8]}},
    "other lists to fuse": {**world(), "fused": {"u10": ["i30", "i31"], "u05": ["i30", "i02", "i09"], "u03": ["i04"]}},
    "both": with_users(rewritten(world(), **FEW, **POPULAR), {"u01": ["i30"], "u99": ["i02", "i31"], "u07": None}),
}


@pytest.mark.parametrize("night", NIGHTS)
def test_ranking_what_changed_is_ranking_everybody(spark: "SparkSession", night: str) -> None:
    from persona_pipeline.score.incremental import ParentRanking, changed_items, ranked_changes
    from persona_pipeline.score.recommend import ranked_users

    before, tonight = world(), NIGHTS[night]
    told, then = personas(tonight), personas(before)
    changed = changed_items(told, then)
    users, histories, profiles = frames(spark, tonight)
    users_then, histories_then, _ = frames(spark, before)
    last = ranked_users(
        users_then, histories_then, profiles, RankingInputs.of(ENCODER, then, K, 2**20, candidates_weight=0.2)
    ).persist()
    some = told.filter(pa.compute.is_in(told["item_id"], pa.array(changed, pa.string())))
    ranking = RankingInputs.of(ENCODER, told, K, 2**20, candidates_weight=0.2)
    some_ranking = RankingInputs.of(ENCODER, some, K, 2**20, candidates_weight=0.2) if some.num_rows else None
    found, figures = ranked_changes(
        users, histories, profiles, ranking, ParentRanking(last, users_then, histories_then, changed), some_ranking
    )
    whole = ranked_users(users, histories, profiles, ranking)
    order = ["user_id", "rank"]
    assert found.orderBy(order).collect() == whole.orderBy(order).select(found.columns).collect()
    moved = {
        user
        for user, items in tonight["met"].items()
        if (before["met"].get(user), *(before[lists].get(user) for lists in ("only", "fused")))
        != (items, *(tonight[lists].get(user) for lists in ("only", "fused")))
    }
    assert figures["changed_users"] == len(moved)
    assert figures["doubtful_users"] < len(tonight["met"])
    assert (figures["changed_items"] == 0) == (night in ("nothing", "other candidates", "other lists to fuse"))
    last.unpersist()


def test_who_is_left_in_doubt(spark: "SparkSession") -> None:
    """Lists of two. Of each user: last night's list, and the best three of what is left of it and what changed."""
    from persona_pipeline.score.incremental import _doubtful

    nights: dict[str, tuple[dict[str, float], list[float]]] = {
        "nothing lost": ({"i1": 0.9, "i2": 0.5}, [0.9, 0.5, 0.4]),
        "a tie for the last place": ({"i1": 0.9, "i2": 0.5}, [0.9, 0.5, 0.5 - 1e-9]),
        "a tie further up": ({"i1": 0.9, "i2": 0.9}, [0.9, 0.9, 0.5]),
        "a near miss": ({"i1": 0.9, "i2": 0.5}, [0.9, 0.5, 0.5 - 1e-5]),
        "lost one for a better": ({"i1": 0.9, "gone": 0.5}, [0.9, 0.6, 0.4]),
        "lost one for as good a one": ({"i1": 0.9, "gone": 0.5}, [0.9, 0.5 + 1e-9, 0.4]),
        "lost one for a worse": ({"i1": 0.9, "gone": 0.5}, [0.9, 0.4]),
        "lost one for nothing": ({"i1": 0.9, "gone": 0.5}, [0.9]),
        "lost all": ({"gone": 0.9, "gone too": 0.5}, []),
        "lost one of a list that was not full": ({"gone": 0.9}, []),
    }
    listed = [(user, item, score) for user, (then, _) in nights.items() for item, score in then.items()]
    best = [(user, rank, score) for user, (_, now) in nights.items() for rank, score in enumerate(now, start=1)]
    found = _doubtful(
        spark.createDataFrame(listed, "user_id string, item_id string, score double"),
        spark.createDataFrame(best, "user_id string, rank int, score double"),
        spark.createDataFrame([("gone",), ("gone too",)], "item_id string"),
        2,
    )
    assert {row["user_id"] for row in found.collect()} == {
        "a tie for the last place",
        "lost one for as good a one",
        "lost one for a worse",
        "lost one for nothing",
        "lost all",
    }


def test_changed_items_are_those_with_other_personas() -> None:
    from persona_pipeline.score.incremental import changed_items

    found = changed_items(personas(rewritten(world(), **FEW)), personas(world()))
    assert found.tolist() == ["i04", "i20", "i25", "i40"]


def test_when_everybody_is_ranked_and_why(spark: "SparkSession", tmp_path: Path) -> None:
    from persona_pipeline.score.incremental import reusable_ranking
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    warehouse = Warehouse(tmp_path)
    put_all(warehouse, shop())
    run(warehouse)
    told = warehouse.read("persona_vectors")

    def why(parent: Release | None, told: pa.Table = told, encoder: str = "enc1", **settings: Any) -> str:
        config = load_config("local", {"user_item_topk": settings})
        found, reason = reusable_ranking(SparkWarehouse(spark, warehouse), parent, config, encoder, told)
        assert (found is None) == bool(reason)
        return reason

    parent = served(warehouse)
    assert why(None) == "there is no run before"
    assert why(parent, encoder="enc2") == "the run before had another encoder"
    assert why(parent) == ""
    assert why(parent, block_bytes=2**24, shelf_bytes=2**24, max_changed_share=1.0) == ""
    assert why(parent, k=3) == "the settings of user_item_topk changed"
    assert why(parent, max_changed_share=0) == "max_changed_share is 0"  # and no item changed
    anew = told.set_column(
        told.schema.get_field_index("text_hash"), "text_hash", pa.array(["other"] * told.num_rows, pa.string())
    )
    assert why(parent, anew) == "100% of the items changed"
    assert why(parent, anew, max_changed_share=1.0) == ""
