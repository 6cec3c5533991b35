"""What `make setup` runs of the pipeline's own code, so that a changed contract cannot break it unseen."""

from pathlib import Path

from pyspark.sql import SparkSession

from persona_pipeline.spark.setup import _typical_task
from persona_pipeline.warehouse import Warehouse


def test_the_task_whose_classes_are_archived_writes_and_merges_a_table(spark: SparkSession, tmp_path: Path) -> None:
    _typical_task(spark, tmp_path / "warehouse")
    rows = Warehouse(tmp_path / "warehouse", {}).dataset("user_histories").to_table().to_pylist()
    assert rows
    assert {row["interaction_count"] for row in rows} == {2}
    assert all(row["interactions"][0]["rating"] == 4.0 for row in rows)
