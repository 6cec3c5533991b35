"""Ranking what changed against ranking everybody, on Spark: the same rows."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from helpers import put_all, shop
from publishing import run
from ranked_world import ENCODER, ITEMS, K, World, frames, personas, world

from persona_pipeline.config import load_config
from persona_pipeline.publish.releases import Release, served
from persona_pipeline.score.eligible import TELLING, EligibleItems
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


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
    changed = changed_items(told.select(TELLING), then.select(TELLING))
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

    found = changed_items(*(personas(each).select(TELLING) for each in (rewritten(world(), **FEW), world())))
    assert found.tolist() == ["i04", "i20", "i25", "i40"]


def test_when_everybody_is_ranked_and_why(spark: "SparkSession", tmp_path: Path) -> None:
    from persona_pipeline.score.incremental import reusable_ranking
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    warehouse = Warehouse(tmp_path)
    put_all(warehouse, shop())
    run(warehouse)
    eligible = EligibleItems.of(warehouse, "enc1", load_config("local").user_item_topk, ())

    def why(parent: Release | None, eligible: EligibleItems = eligible, encoder: str = "enc1", **settings: Any) -> str:
        config = load_config("local", {"user_item_topk": settings})
        found, reason = reusable_ranking(SparkWarehouse(spark, warehouse), parent, config, encoder, eligible)
        assert (found is None) == bool(reason)
        return reason

    parent = served(warehouse)
    assert why(None) == "there is no run before"
    assert why(parent, encoder="enc2") == "the run before had another encoder"
    assert why(parent) == ""
    assert why(parent, block_bytes=2**24, shelf_bytes=2**24, max_changed_share=1.0) == ""
    assert why(parent, k=3) == "the settings of user_item_topk changed"
    assert why(parent, max_changed_share=0) == "max_changed_share is 0"  # and no item changed
    told = eligible.personas
    other = pa.array(["other"] * told.num_rows, pa.string())
    anew = replace(eligible, personas=told.set_column(told.schema.get_field_index("text_hash"), "text_hash", other))
    assert why(parent, anew) == "100% of the items changed"
    assert why(parent, anew, max_changed_share=1.0) == ""
