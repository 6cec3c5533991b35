"""What stands for a user and an item in a history, and which items are not recommended again."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from persona_pipeline.core.interactions import met_sql

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

START = datetime(2024, 1, 1, tzinfo=UTC)
_REVIEWS = (
    "review_id string, user_id string, item_id string, rating double, reviewed_at timestamp, source_file string, "
    "source_line long"
)
_EVENTS = (
    "interaction_id string, user_id string, item_id string, kind string, weight double, occurred_at timestamp, "
    "source_file string, source_line long"
)


def review(review_id: str, item: str, day: int, line: int, user: str = "u") -> tuple[Any, ...]:
    return (review_id, user, item, 4.0, START + timedelta(days=day), "f", line)


def event(event_id: str, item: str, kind: str, weight: float, day: int, user: str = "u") -> tuple[Any, ...]:
    line = int("".join(c for c in event_id if c.isdigit()))
    return (f"event:{event_id}", user, item, kind, weight, START + timedelta(days=day), "e", line)


REVIEWS = [review("r1", "a", 0, 1), review("r2", "b", 5, 9), review("r3", "c", 5, 10), review("r4", "d", 2, 4)]
EVENTS = [
    event("e1", "a", "return", -1.0, 9),  # of a reviewed item: the review says more
    event("e2", "e", "click", 0.2, 1),
    event("e3", "e", "purchase", 1.0, 2),
    event("e4", "e", "return", -1.0, 3),  # as strong as the purchase, and newer
    event("e5", "e", "click", 0.2, 4),
    event("e6", "f", "play", 0.8, 1),
    event("e7", "f", "play", 0.8, 6),
    event("e8", "g", "click", 0.2, 7),
    event("e9", "a", "purchase", 1.0, 1, user="v"),
]


@pytest.fixture(scope="module")
def rows(spark: "SparkSession") -> "DataFrame":
    from persona_pipeline.aggregate import met

    return met(spark.createDataFrame(REVIEWS, _REVIEWS), spark.createDataFrame(EVENTS, _EVENTS)).persist()


def test_newest_first_bounded_ties_by_input_order(spark: "SparkSession") -> None:
    from persona_pipeline.aggregate import met, user_histories

    rows = met(spark.createDataFrame(REVIEWS, _REVIEWS), spark.createDataFrame([], _EVENTS))
    row = user_histories(rows, 3, 0.5).collect()[0]
    assert row["interaction_count"] == 4
    assert [i["review_id"] for i in row["interactions"]] == ["r3", "r2", "r4"]
    assert [i["interaction_id"] for i in row["interactions"]] == ["r3", "r2", "r4"]
    assert {(i["kind"], i["weight"]) for i in row["interactions"]} == {("review", 1.0)}
    assert row["reviewed_item_ids"] == ["a", "b", "c", "d"]  # beyond the bound too


def test_an_item_is_met_once_by_its_review_or_else_by_its_strongest_event(rows: "DataFrame") -> None:
    found = {(row["user_id"], row["item_id"]): row for row in rows.collect()}
    assert {key: row["interaction_id"] for key, row in found.items()} == {
        ("u", "a"): "r1", ("u", "b"): "r2", ("u", "c"): "r3", ("u", "d"): "r4",
        ("u", "e"): "event:e4", ("u", "f"): "event:e7", ("u", "g"): "event:e8", ("v", "a"): "event:e9",
    }  # fmt: skip
    returned = found["u", "e"]
    assert (returned["review_id"], returned["rating"], returned["weight"], returned["kind"]) == (
        None,
        None,
        -1.0,
        "return",
    )


def test_histories_hold_both_and_a_click_leaves_an_item_recommendable(rows: "DataFrame") -> None:
    from persona_pipeline.aggregate import user_histories

    found = {row["user_id"]: row for row in user_histories(rows, 4, 0.5).collect()}
    mine = found["u"]
    assert [i["interaction_id"] for i in mine["interactions"]] == ["event:e8", "event:e7", "r3", "r2"]
    assert [i["weight"] for i in mine["interactions"]] == [0.2, 0.8, 1.0, 1.0]
    assert mine["interaction_count"] == 7
    assert mine["reviewed_item_ids"] == ["a", "b", "c", "d", "e", "f"]  # what was returned is not shown again
    assert found["v"]["reviewed_item_ids"] == ["a"]
    whatever = {row["user_id"]: row["reviewed_item_ids"] for row in user_histories(rows, 4, 0.0).collect()}
    assert whatever["u"] == ["a", "b", "c", "d", "e", "f", "g"]


def test_duckdb_and_spark_agree_on_what_was_met(rows: "DataFrame", spark: "SparkSession") -> None:
    tables = {
        "reviews": spark.createDataFrame(REVIEWS, _REVIEWS).toArrow(),
        "interactions": spark.createDataFrame(EVENTS, _EVENTS).toArrow(),
    }
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        columns = "interaction_id, review_id, user_id, item_id, kind, rating, weight, source_file, source_line"
        mine = connection.sql(f"SELECT {columns} FROM ({met_sql()}) ORDER BY interaction_id").fetchall()
    theirs = rows.select(*columns.split(", ")).orderBy("interaction_id").collect()
    assert mine == [tuple(row) for row in theirs]
