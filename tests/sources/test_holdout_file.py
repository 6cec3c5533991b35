"""The file of withheld reviews, and the two ways it can be wrong."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.sources.holdout_file import check_holdout, write_holdout


def test_the_same_ids_make_the_same_file(tmp_path: Path) -> None:
    for name, ids in (("a", ["r1", "r2"]), ("b", ["r2", "r1"])):
        write_holdout(tmp_path / name, pa.chunked_array([pa.array(ids)]))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert pq.read_table(check_holdout(tmp_path / "b"))["review_id"].to_pylist() == ["r1", "r2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_spark_reads_the_file_whatever_it_is_called(spark: SparkSession, tmp_path: Path) -> None:
    for n, name in enumerate(("r1.parquet", "r[1].parquet", "{a,b} c%20?.parquet", "*.parquet")):
        write_holdout(tmp_path / name, pa.chunked_array([pa.array([f"r{n}"])]))
        found = spark.read.parquet(str(check_holdout(tmp_path / name))).collect()
        assert [row["review_id"] for row in found] == [f"r{n}"]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"reviews\.withheld: .*gone\.parquet: no such file"):
        check_holdout(tmp_path / "gone.parquet")


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"id": ["r1"]}, r"its columns: id \(string\)"), ({"review_id": [1]}, r"its columns: review_id \(int64\)")],
)
def test_a_file_of_something_else_is_told(tmp_path: Path, columns: dict[str, list[object]], said: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(PipelineError, match=f"needs a column review_id of strings; {said}"):
        check_holdout(tmp_path / "t.parquet")


def test_a_file_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("r1\n")
    with pytest.raises(PipelineError, match="is not a Parquet file"):
        check_holdout(tmp_path / "t.parquet")
