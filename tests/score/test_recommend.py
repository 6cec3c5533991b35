from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from guitar_shop import ITEMS, D, make_ranking, make_user
from helpers import put, shop

from persona_pipeline.config import UserItemTopkConfig
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EVIDENCE = "array<struct<kind:string,ref:string,start:int,end:int,quote:string>>"
RANKED = "user_id string, rank int, item_id string, persona_id string, score double, "
RANKED += "contributions array<struct<kind:string,review_id:string,item_id:string,share:double>>"


def recommend(spark: "SparkSession") -> dict[int, Any]:
    from persona_pipeline.score.recommend import recommendations

    liked = [("popularity", None, None, 0.5), ("interaction", "r1", "i9", 0.3), ("interaction", "r2", "i8", -0.1)]
    ranked = spark.createDataFrame(
        [("u", 1, "i1", "p1", 0.7, liked), ("u", 2, "i2", "p2", 0.2, [("interaction", "r2", "i8", -0.1)])], RANKED
    )
    personas = spark.createDataFrame(
        [
            (
                "p1",
                "Gigging players",
                "It holds its tune: “never slips”.",
                [("review", "r", 0, 11, "never slips"), ("review", "q", 0, 5, "solid")],
                "embedded",
            ),
            ("p2", "Gift givers", "It looks the part.", [("metadata", "title", 0, 4, "Gift")], "metadata"),
        ],
        f"persona_id string, name string, preference_rationale string, evidence {EVIDENCE}, persona_source string",
    )
    titles = spark.createDataFrame(
        [("i1", "Tuner"), ("i2", None), ("i9", "Strap"), ("i8", "Pick")], "item_id string, item_title string"
    )
    rows = recommendations(ranked, personas, titles, "e1", date(2024, 1, 1), 8)
    return {row["rank"]: row for row in rows.collect()}


def test_explanations_say_for_whom_why_and_quote_once(spark: "SparkSession") -> None:
    rows = recommend(spark)
    assert rows[1]["explanation"] == (
        "Gigging players: It holds its tune: “never slips”. You reviewed “Strap”. A reviewer wrote: “solid”"
    )
    # no item they met spoke for it, and its evidence is the seller's
    assert rows[2]["explanation"] == "Gift givers: It looks the part. The seller says: “Gift”"
    assert rows[1]["item_title"] == "Tuner"
    assert rows[2]["item_title"] is None


def test_an_item_known_by_its_metadata_alone_is_told_apart(spark: "SparkSession") -> None:
    assert {rank: row["recommendation_source"] for rank, row in recommend(spark).items()} == {
        1: "persona",
        2: "metadata_persona",
    }


@pytest.mark.parametrize("shelf_bytes", [1, 4 * D * 4])  # an item a block, and a few items
def test_ranking_by_blocks_gives_the_same_rows(spark: "SparkSession", shelf_bytes: int) -> None:
    from persona_pipeline.score.recommend import ranked_users

    ranking = make_ranking(k=3)
    liked = {"ana": ["strap", "tuner"], "ben": ["picks"], "cleo": ITEMS, "dan": ["capo", "slide"]}
    people = [make_user(ranking, user, *items) for user, items in liked.items()]
    profiles = [(i["review_id"], i["vector"]) for row in people for i in row["interactions"]]
    users = [
        (row["user_id"], [(i["review_id"], i["item_id"], i["weight"], i["review_id"]) for i in row["interactions"]])
        for row in people
    ]
    interaction = "struct<review_id:string,item_id:string,weight:double,profile_hash:string>"
    inputs = (
        spark.createDataFrame(users, f"user_id string, interactions array<{interaction}>"),
        spark.createDataFrame(
            [(row["user_id"], row["reviewed_item_ids"]) for row in people],
            "user_id string, reviewed_item_ids array<string>",
        ),
        spark.createDataFrame(profiles, "text_hash string, vector array<float>"),
    )
    assert len(ranking.shelf.spans(shelf_bytes)) in (3, 4, len(ITEMS))
    blocks = replace(ranking, shelf_bytes=shelf_bytes)
    whole, blocked = (ranked_users(*inputs, r).orderBy("user_id", "rank").collect() for r in (ranking, blocks))
    assert blocked == whole
    assert {row["user_id"] for row in whole} == {"ana", "ben", "dan"}


def test_bucket_is_crc32_of_the_user(spark: "SparkSession") -> None:
    import zlib

    from pyspark.sql import functions as F

    assert recommend(spark)[1]["user_bucket"] == zlib.crc32(b"u") % 8
    users = ["u", "zoë 'O’Neil' %/2F", "用户", "😀", "a" * 300, ""]
    rows = spark.createDataFrame([(user,) for user in users], "user_id string")
    spark_says = rows.select(F.crc32(F.encode("user_id", "utf-8"))).collect()
    assert [row[0] for row in spark_says] == [zlib.crc32(user.encode()) for user in users]


def test_a_row_as_before_keeps_its_date(spark: "SparkSession") -> None:
    from persona_pipeline.score.recommend import keep_unchanged

    columns = "user_id string, rank int, score double, contributions array<struct<share:double>>, changed_as_of date"
    old, new = date(2024, 1, 1), date(2024, 1, 2)
    parent = spark.createDataFrame([("u", 1, 0.5, [(0.5,)], old), ("u", 2, 0.4, [(0.4,)], old)], columns)
    tonight = spark.createDataFrame(
        [("u", 1, 0.5, [(0.5,)], new), ("u", 2, 0.4, [(0.3,)], new), ("v", 1, 0.1, [(0.1,)], new)], columns
    )
    rows = keep_unchanged(tonight, parent, ["user_id", "rank"]).collect()
    assert {(r["user_id"], r["rank"]): r["changed_as_of"] for r in rows} == {
        ("u", 1): old,
        ("u", 2): new,
        ("v", 1): new,
    }


def test_candidates_are_those_of_the_night_or_of_the_release(spark: "SparkSession", tmp_path: Path) -> None:
    from persona_pipeline.score.recommend import people
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    warehouse = Warehouse(tmp_path)
    for table in ("user_vectors", "user_histories", "candidates"):
        put(warehouse, table, shop()[table])
    versions = {"user_vectors": 0, "user_histories": 0, "candidates": 0}
    put(warehouse, "candidates", [{"user_id": "ben", "item_id": "tuner", "rank": 1, "score": None}])
    tables = SparkWarehouse(spark, warehouse)

    def lists(config: UserItemTopkConfig, then: dict[str, int] | None = None) -> dict[str, list[str] | None]:
        rows = people(tables, "enc1", config, then)[1].collect()
        return {row["user_id"]: row["candidate_item_ids"] for row in rows if row["candidate_item_ids"] is not None}

    only = UserItemTopkConfig(candidates="only")
    assert lists(only) == {"ben": ["tuner"]}
    assert lists(only, versions) == {"ana": ["capo", "picks"]}
    assert lists(only, {table: 0 for table in versions if table != "candidates"}) == {}
    assert "candidate_item_ids" not in people(tables, "enc1", UserItemTopkConfig())[1].columns
    fused = people(tables, "enc1", UserItemTopkConfig(candidates="fuse"), versions)[1].select(
        "user_id", "candidate_ranks"
    )
    told = {user: places for user, places in fused.collect() if places}
    assert told == {"ana": [("capo", 1), ("picks", 2)]} or told == {"ana": [("capo", 2), ("picks", 1)]}
