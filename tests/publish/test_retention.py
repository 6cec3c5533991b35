"""What a retained release names stays readable, the rest is really deleted, and nothing young is touched."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers import AS_OF, put, shop
from publishing import FAILED, propose, run

from jobs import releases as job
from persona_pipeline.config import PipelineConfig
from persona_pipeline.publish.releases import missing_files, published, release_of, release_row
from persona_pipeline.publish.retention import clean, retained
from persona_pipeline.publish.rollback import roll_back
from persona_pipeline.runs.context import RunContext
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NIGHTS = [AS_OF + timedelta(days=n) for n in range(4)]


@pytest.fixture
def nights(warehouse: Warehouse) -> list[str]:
    """Four nights; each changes the reviews, the candidates and what is published. One of them was tried twice."""
    ids = []
    for n, as_of in enumerate(NIGHTS):
        put(warehouse, "reviews", [{**row, "title": str(n)} for row in shop()["reviews"]])
        propose(warehouse, 0.6 + n / 100)
        if n == 2:
            run(warehouse, as_of, FAILED)
            propose(warehouse, 0.7)
        ids.append(run(warehouse, as_of)["release_id"])
    return ids


def readable(warehouse: Warehouse, release_id: str) -> bool:
    release = release_of(release_row(warehouse, release_id))
    if missing_files(warehouse, release):
        return False
    return all(warehouse.read(table, version=version) is not None for table, version in release.versions.items())


def stored(warehouse: Warehouse) -> int:
    return len(list(warehouse.root.rglob("*.parquet")))


def test_retained_releases_are_whole_and_others_are_gone(warehouse: Warehouse, nights: list[str]) -> None:
    versions, before = warehouse.versions(), stored(warehouse)
    found = clean(warehouse, keep=2, grace_hours=0, dry_run=True)
    assert stored(warehouse) == before
    # Two nights' reviews and lists; and of five candidates all but the last.
    assert found.files == {"reviews": 3, "user_item_topk": 2, "_candidates/user_item_topk": 5}
    assert found.bytes > 0
    assert clean(warehouse, keep=2, grace_hours=0) == found
    assert before - stored(warehouse) == sum(found.files.values())
    assert [readable(warehouse, release_id) for release_id in nights] == [False, False, True, True]
    assert warehouse.versions() == versions  # releases still say what is there
    assert clean(warehouse, keep=2, grace_hours=0).files == {}
    assert roll_back(warehouse, nights[2], "ana", None).restored == ["user_item_topk"]


def test_withdrawn_and_refused_nights_are_kept_as_long(warehouse: Warehouse, nights: list[str]) -> None:
    roll_back(warehouse, nights[1], "ana", None)
    assert [row["as_of"] for row in retained(warehouse, keep=1)] == [NIGHTS[1], NIGHTS[2], NIGHTS[2], NIGHTS[3]]
    clean(warehouse, keep=1, grace_hours=0)
    assert [readable(warehouse, release_id) for release_id in nights] == [False, True, True, True]
    refused = next(row for row in retained(warehouse, keep=1) if row["verdict"] == "refused")
    assert readable(warehouse, refused["release_id"])
    roll_back(warehouse, nights[3], "ana", None)


def test_a_file_of_a_commit_in_flight_is_left_alone(warehouse: Warehouse, nights: list[str]) -> None:
    flying = Path(warehouse.path("reviews")) / "part-00000-flying.parquet"
    flying.write_bytes(b"not in any log yet")
    before = stored(warehouse)
    assert clean(warehouse, keep=1, grace_hours=1).files == {}
    assert stored(warehouse) == before
    two_hours_ago = time.time() - 7_200
    os.utime(flying, (two_hours_ago, two_hours_ago))
    assert clean(warehouse, keep=1, grace_hours=1).files == {"reviews": 1}  # nobody's after all
    assert not flying.exists()


def test_before_a_release_everything_is_kept(warehouse: Warehouse) -> None:
    run(warehouse, AS_OF, FAILED)
    assert len(retained(warehouse, keep=1)) == 1
    assert published(warehouse) == []


def test_tables_that_spark_wrote(spark: "SparkSession", warehouse: Warehouse) -> None:
    """Spark's MERGE, partitions and checkpoints; the log of a version is there long after Delta would have deleted it."""
    from persona_pipeline.publish.staging import staged_tables
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    def publish() -> None:
        rows = SparkWarehouse(spark, staged_tables(warehouse)).read("user_item_topk")
        SparkWarehouse(spark, warehouse, few=0).replace("user_item_topk", rows)

    ids, lists = [], []
    for n, as_of in enumerate(NIGHTS[:3]):
        propose(warehouse, 0.6 + n / 100)
        publish()
        ids.append(run(warehouse, as_of)["release_id"])
        lists.append(warehouse.read("user_item_topk"))
    path = warehouse.path("user_item_topk")
    years_ago = time.time() - 4_000 * 24 * 3600
    for entry in Path(path, "_delta_log").iterdir():
        os.utime(entry, (years_ago, years_ago))
    log = spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path)  # type: ignore[union-attr]
    log.checkpoint()  # cleans the log too
    assert clean(warehouse, keep=2, grace_hours=0).files["user_item_topk"] == 2  # a file and its checksum
    data = {file.name for file in Path(path).rglob("part-*.parquet")}
    assert {f".{name}.crc" for name in data} == {file.name for file in Path(path).rglob(".part-*.crc")}
    assert [readable(warehouse, release_id) for release_id in ids] == [False, True, True]
    for release_id, rows in zip(ids[1:], lists[1:], strict=True):
        version = release_of(release_row(warehouse, release_id)).versions["user_item_topk"]
        assert warehouse.read("user_item_topk", version=version).equals(rows)
        assert SparkWarehouse(spark, warehouse).read("user_item_topk", version).count() == rows.num_rows
    assert roll_back(warehouse, ids[1], "ana", None).restored == ["user_item_topk"]
    back = SparkWarehouse(spark, warehouse).read("user_item_topk").select("user_id", "rank", "score").collect()
    wanted = lists[1].select(["user_id", "rank", "score"]).to_pylist()
    assert {tuple(row) for row in back} == {tuple(row.values()) for row in wanted}


def test_a_clean_up_that_fails_does_not_fail_the_night(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(job, "clean", full)
    assert job._cleaned(RunContext(AS_OF, PipelineConfig(), warehouse, None)) == {"error": "no space left on device"}
