"""The job `releases` on the shop's candidates: published whole with a verdict on record, or refused and nothing seen."""

from typing import TYPE_CHECKING

import pytest
from helpers import AS_OF, put, put_all, shop
from killed_publication import record
from one_run import SPARK, OneRun, kept, opened, written

from persona_pipeline.config import load_config
from persona_pipeline.core.errors import ReleaseError
from persona_pipeline.publish.releases import served
from persona_pipeline.runs.log import run_row
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LISTS = ("user_item_topk", "default_topk")


@pytest.fixture
def warehouse(warehouse: Warehouse) -> Warehouse:
    """With the vectors that its lists go with, of the audit's dimensions."""
    put_all(warehouse, {"encoders": shop()["encoders"]})
    return warehouse


def tonight(warehouse: Warehouse) -> OneRun:
    """A run whose tasks are done."""
    return OneRun(
        warehouse, record(warehouse, AS_OF, load_config("local", {"user_item_topk": {"k": 2}, "spark": SPARK}))
    )


def test_candidates_become_what_readers_open(warehouse: Warehouse, spark: "SparkSession") -> None:
    run = tonight(warehouse)
    summary = run.do("releases")
    assert summary["verdict"] == "published"
    assert written(summary) == {"user_item_topk": (8, 0, 0), "default_topk": (2, 0, 0)}
    first, *_ = kept(warehouse, "user_item_topk")
    assert (first["user_id"], first["rank"], first["item_id"], first["score"]) == ("ana", 1, "capo", pytest.approx(0.6))
    assert [row["item_id"] for row in kept(warehouse, "default_topk")] == ["strap", "tuner"]
    (row,) = kept(warehouse, "releases")
    assert (row["release_id"], row["verdict"], row["as_of"]) == (summary["release_id"], "published", AS_OF)
    assert (row["encoder_id"], row["parent_release_id"], row["reasons"]) == ("enc1", None, [])
    metrics = {metric["name"]: metric["value"] for metric in row["metrics"]}
    assert len(metrics) == summary["measures"]
    assert (metrics["reviews.rows"], metrics["user_item_topk.user_coverage"]) == (10.0, 1.0)
    versions = {entry["table"]: entry["version"] for entry in row["table_versions"]}
    assert {table: versions[table] for table in LISTS} == {table: warehouse.version(table) for table in LISTS}
    release = served(warehouse)
    assert release is not None
    assert release.release_id == row["release_id"]
    closed = run_row(warehouse, run.run_id)
    assert (closed["outcome"], closed["detail"]) == ("published", row["release_id"])
    again = run.again("releases")
    assert (again["release_id"], again["verdict"]) == (row["release_id"], "published")
    assert kept(warehouse, "releases") == [row]


def test_what_fails_the_audit_is_seen_by_nobody(warehouse: Warehouse) -> None:
    personas = shop()["item_personas"]
    personas[3]["evidence"][0]["quote"] = "Two hands are enough"
    put(warehouse, "item_personas", personas)
    run = tonight(warehouse)
    with pytest.raises(ReleaseError, match=r"refused; readers keep the one before.\n  item_personas\."):
        run.do("releases")
    (row,) = kept(warehouse, "releases")
    assert row["verdict"] == "refused"
    assert any("item_personas." in reason for reason in row["reasons"])
    assert served(warehouse) is None
    assert not any(warehouse.exists(table) for table in LISTS)
    assert run_row(warehouse, run.run_id)["outcome"] == "refused"


def test_a_run_with_a_task_missing_comes_to_no_verdict(warehouse: Warehouse) -> None:
    run = opened(warehouse)
    run.settle_on("enc1")
    with pytest.raises(
        ReleaseError, match="cannot be published: never run: interactions, reviews, blocks, item_reviews"
    ):
        run.do("releases")
    assert not warehouse.exists("releases")
