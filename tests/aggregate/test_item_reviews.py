import importlib
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

START = datetime(2024, 1, 1, tzinfo=UTC)
Review = tuple[str, str, float, float, str]
"""(review_id, item_id, rating, day, text)"""


def aggregate(
    spark: "SparkSession", reviews: Sequence[Review], limit: int, max_bytes: int = 2**20, parts: int = 2
) -> dict[str, Any]:
    """Rows by item."""
    from persona_pipeline.aggregate import item_reviews

    rows = [(r, f"u-{r}", i, float(rating), text, START + timedelta(days=day)) for r, i, rating, day, text in reviews]
    frame = spark.createDataFrame(
        rows, "review_id string, user_id string, item_id string, rating double, text string, reviewed_at timestamp"
    )
    frame = frame.selectExpr("*", "concat('Review ', review_id) AS title").repartition(parts)
    items = spark.createDataFrame([("a",), ("b",), ("new",)], "item_id string")
    return {row["item_id"]: row for row in item_reviews(frame, items, limit, max_bytes).collect()}


def test_a_job_can_import_it_before_it_has_a_session() -> None:
    subprocess.run([sys.executable, "-c", "import persona_pipeline.aggregate"], check=True)


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
    old: list[Review] = [(f"o{i:02d}", "a", 5.0, i, "a long old review " * 5) for i in range(30)]
    new: list[Review] = [(f"n{i:02d}", "a", 5.0, 500 + i, "short") for i in range(30)]
    evidence = aggregate(spark, old + new, 10)["a"]["evidence"]
    assert sum(e["review_id"].startswith("n") for e in evidence) == 5


def test_more_telling_reviews_come_first(spark: "SparkSession") -> None:
    rows = aggregate(
        spark, [("1", "a", 5, 0, "ok"), ("2", "a", 5, 0, "ok for travel with kids"), ("3", "a", 5, 0, "fine")], 2
    )
    assert rows["a"]["evidence"][0]["review_id"] == "2"
    assert len(rows["a"]["evidence"]) == 2


def skewed(seed: int, reviews: int = 1_500) -> list[Review]:
    """Reviews of which one item has two thirds; many of one day, many as long as one another."""
    draw = random.Random(seed)
    busy = draw.randrange(300)
    return [
        (
            f"r{n:05d}",
            "a" if draw.random() < 0.67 else "b",
            draw.choice((1, 2, 3, 4, 5, 5, 5, 5)),
            busy + draw.random() / 2 if draw.random() < 0.4 else float(draw.randrange(300)),
            " ".join(["word"] * draw.choice((1, 3, 3, 8, 40, 130, 200))),
        )
        for n in range(reviews)
    ]


def by_hand(reviews: list[Review], limit: int) -> list[str]:
    """Ids of one item's evidence, as the module's docstring tells it."""
    minutes = sorted(minute(r) for r in reviews)
    last_older = minutes[(len(minutes) + 1) // 2 - 1]
    strata = defaultdict(list)
    for review in reviews:
        kind = 0 if review[2] <= 2 else 1 if review[2] < 4 else 2
        strata[kind, minute(review) > last_older].append(review)
    queue = []
    for stratum in strata.values():
        stratum.sort(key=lambda r: (-words(r), -r[3], r[0]))
        queue += [((n + 0.5) / sqrt(len(stratum)), -words(r), r[0]) for n, r in enumerate(stratum)]
    return [review_id for _, _, review_id in sorted(queue)[:limit]]


def minute(review: Review) -> int:
    return int((START + timedelta(days=review[3])).timestamp() // 60)


def words(review: Review) -> int:
    return min(120, len(review[4].split(" ")))


@pytest.mark.parametrize(("seed", "limit"), [(1, 25), (2, 60), (3, 1)])
def test_a_skewed_item_has_the_evidence_found_by_hand(spark: "SparkSession", seed: int, limit: int) -> None:
    reviews = skewed(seed)
    found = aggregate(spark, reviews, limit)
    for item in ("a", "b"):
        expected = by_hand([r for r in reviews if r[1] == item], limit)
        assert len(expected) == limit
        assert [e["review_id"] for e in found[item]["evidence"]] == expected
        texts = {r[0]: r[4] for r in reviews}
        assert all(e["text"] == texts[e["review_id"]] for e in found[item]["evidence"])


def test_rows_do_not_depend_on_where_reviews_lie(spark: "SparkSession") -> None:
    reviews = skewed(4)
    shuffled = random.Random(0).sample(reviews, len(reviews))
    assert aggregate(spark, reviews, 20, parts=1) == aggregate(spark, shuffled, 20, parts=9)


def test_only_the_best_of_every_task_are_brought_together(spark: "SparkSession") -> None:
    """The plan says so: each stratum is cut where its reviews lie, before they are moved."""
    from persona_pipeline.aggregate.item_reviews import _chosen, _worth

    rows = [(f"r{n}", "a", 5.0, "said", "title", START) for n in range(10)]
    frame = spark.createDataFrame(
        rows, "review_id string, item_id string, rating double, text string, title string, reviewed_at timestamp"
    )
    chosen = _chosen(_worth(frame), 3, 1_000)
    plan = chosen._jdf.queryExecution().executedPlan().toString()
    assert "WindowGroupLimit [item_id" in plan
    assert ", Partial" in plan


def test_sifting_before_texts_are_moved_changes_nothing(spark: "SparkSession", monkeypatch: pytest.MonkeyPatch) -> None:
    reviews = skewed(5)
    sifted = aggregate(spark, reviews, 20)  # both items are
    monkeypatch.setattr(importlib.import_module("persona_pipeline.aggregate.item_reviews"), "_SIFTED", 20)
    assert sifted == aggregate(spark, reviews, 20)  # the larger alone


@pytest.mark.parametrize("limit", [5, 20, 60])
def test_one_more_review_displaces_two_at_most(limit: int) -> None:
    """By hand, which the tests above hold the table to: whatever is added, and wherever in time."""
    for seed in range(40):
        draw = random.Random(seed)
        reviews = [r for r in skewed(seed, 300) if r[1] == "a"]
        more = (f"s{seed}", "a", draw.choice((1, 3, 5)), draw.randrange(330), " ".join(["w"] * draw.randrange(1, 150)))
        displaced = set(by_hand(reviews, limit)) - set(by_hand([*reviews, more], limit))
        assert len(displaced) <= 2


def test_evidence_is_bounded_in_bytes(spark: "SparkSession") -> None:
    reviews: list[Review] = [(str(n), "a", 5, n, "so long " * 100 + "é" * n) for n in range(5)]
    size = len(b"Review 4") + len(("so long " * 100 + "é" * 4).encode())
    whole, two, one = (aggregate(spark, reviews, 5, size * n // 2)["a"] for n in (100, 4, 1))
    assert [len(row["evidence"]) for row in (whole, two, one)] == [5, 2, 1]  # the first whatever its size
    assert whole["evidence"][:2] == two["evidence"]
    assert two["review_count"] == 5


def test_spam_is_counted_and_is_no_evidence(spark: "SparkSession") -> None:
    from persona_pipeline.aggregate import item_reviews

    rows = [("1", "mine", None), ("2", "theirs", "same text as 90 others")]
    frame = spark.createDataFrame(rows, "review_id string, text string, spam string").selectExpr(
        "*",
        "'u' AS user_id",
        "'a' AS item_id",
        "5.0D AS rating",
        "'t' AS title",
        "timestamp '2024-01-01' AS reviewed_at",
    )
    (row,) = item_reviews(frame, spark.createDataFrame([("a",)], "item_id string"), 5, 10_000).collect()
    assert (row["review_count"], [e["review_id"] for e in row["evidence"]]) == (2, ["1"])
