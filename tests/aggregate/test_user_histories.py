from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_newest_first_bounded_ties_by_input_order(spark: "SparkSession") -> None:
    from persona_pipeline.aggregate import user_histories

    start = datetime(2024, 1, 1, tzinfo=UTC)
    days = [("r1", "a", 0, 1), ("r2", "b", 5, 9), ("r3", "c", 5, 10), ("r4", "d", 2, 4)]
    rows = [(r, "u", item, 4.0, start + timedelta(days=day), "f", line) for r, item, day, line in days]
    frame = spark.createDataFrame(
        rows,
        "review_id string, user_id string, item_id string, rating double, reviewed_at timestamp, "
        "source_file string, source_line long",
    )
    row = user_histories(frame, 3).collect()[0]
    assert row["interaction_count"] == 4
    assert [i["review_id"] for i in row["interactions"]] == ["r3", "r2", "r4"]
    assert row["reviewed_item_ids"] == ["a", "b", "c", "d"]  # beyond the bound too
