from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

START = datetime(2024, 1, 1, tzinfo=UTC)


def aggregate(spark: "SparkSession", reviews: list[tuple[str, str, float, int, str]], limit: int) -> dict[str, Any]:
    """Rows by item, from (review_id, item_id, rating, day, text)."""
    from persona_pipeline.aggregate import item_reviews

    rows = [(r, f"u-{r}", i, float(rating), text, START + timedelta(days=day)) for r, i, rating, day, text in reviews]
    frame = spark.createDataFrame(
        rows, "review_id string, user_id string, item_id string, rating double, text string, reviewed_at timestamp"
    )
    frame = frame.selectExpr("*", "concat('Review ', review_id) AS title")
    items = spark.createDataFrame([("a",), ("b",), ("new",)], "item_id string")
    return {row["item_id"]: row for row in item_reviews(frame, items, limit).collect()}


def test_counts_means_and_text(spark: "SparkSession") -> None:
    rows = aggregate(spark, [("1", "a", 5, 0, "bright and loud"), ("2", "a", 2, 3, ""), ("3", "b", 4, 1, "")], 10)
    assert (rows["a"]["review_count"], rows["a"]["mean_rating"]) == (2, 3.5)
    assert rows["a"]["last_reviewed_at"].replace(tzinfo=UTC) == START + timedelta(days=3)
    assert [e["review_id"] for e in rows["a"]["evidence"]] == ["1"]  # stars alone are no evidence
    assert (rows["a"]["evidence"][0]["user_id"], rows["a"]["evidence"][0]["title"]) == ("u-1", "Review 1")
    assert (rows["b"]["review_count"], rows["b"]["evidence"]) == (1, [])
    assert (rows["new"]["review_count"], rows["new"]["mean_rating"], rows["new"]["evidence"]) == (0, None, [])


def test_minority_and_critical_views_stay(spark: "SparkSession") -> None:
    loved = [(f"p{i:02d}", "a", 5.0, i, f"love it {'very ' * 9}much") for i in range(60)]
    critical = [("c1", "a", 1.0, 10, "broke"), ("c2", "a", 2.0, 50, "too quiet")]
    mixed = [("m1", "a", 3.0, 30, "so so")]
    evidence = aggregate(spark, [*loved, *critical, *mixed], 10)["a"]["evidence"]
    assert len(evidence) == 10
    assert {"c1", "c2", "m1"} <= {e["review_id"] for e in evidence}


def test_both_halves_in_time_are_heard(spark: "SparkSession") -> None:
    old = [(f"o{i:02d}", "a", 5.0, i, "a long old review " * 5) for i in range(30)]
    new = [(f"n{i:02d}", "a", 5.0, 500 + i, "short") for i in range(30)]
    evidence = aggregate(spark, old + new, 10)["a"]["evidence"]
    assert sum(e["review_id"].startswith("n") for e in evidence) == 5


def test_more_telling_reviews_come_first(spark: "SparkSession") -> None:
    rows = aggregate(
        spark, [("1", "a", 5, 0, "ok"), ("2", "a", 5, 0, "ok for travel with kids"), ("3", "a", 5, 0, "fine")], 2
    )
    assert rows["a"]["evidence"][0]["review_id"] == "2"
    assert len(rows["a"]["evidence"]) == 2
