"""Rows rewritten in all versions of a table that Spark or delta-rs wrote: nothing else moves, and every engine still opens it."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from decoded import found_in
from deltalake import DeltaTable, write_deltalake
from helpers import Row, put, shop

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.history import Change, History

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class WithoutUser:
    """Rows of one user go, and another's is renamed."""

    def __init__(self, gone: str, renamed: str = "") -> None:
        self.columns, self._gone, self._renamed = frozenset({"user_id"}), gone, renamed

    def marks(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        users = rows["user_id"].to_numpy(zero_copy_only=False)
        return users == self._gone, users == self._renamed

    def applied(self, rows: pa.Table) -> pa.Table:
        kept = rows.filter(pc.not_equal(rows["user_id"], self._gone))
        named = pc.if_else(pc.equal(kept["user_id"], self._renamed), "somebody", kept["user_id"])
        return kept.set_column(kept.column_names.index("user_id"), kept.schema.field("user_id"), named)


def rewrite(folder: Path, change: Change, mark: str = "-e1") -> History:
    history = History(folder, mark)
    history.write(change)
    history.point(additions=False)
    history.point(additions=True)
    history.drop()
    return history


@pytest.fixture
def lists(written: Path, tmp_path: Path) -> Warehouse:
    """A copy of the test's own."""
    return Warehouse(shutil.copytree(written, tmp_path / "warehouse"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, spark: "SparkSession") -> Path:
    """Published lists in two partitions, a dozen versions, with checkpoints and a change data feed, written by Spark."""
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse, spark_schema

    warehouse = Warehouse(tmp_path_factory.mktemp("written") / "warehouse")
    tables = SparkWarehouse(spark, warehouse)
    schema = spark_schema(load_contract("user_item_topk"))
    for night in range(6):
        rows: list[Row] = [
            {**row, "score": row["score"] + night, "user_bucket": n % 2, "item_title": f"Said by {row['user_id']}"}
            for n, row in enumerate(shop()["user_item_topk"])
        ]
        tables.publish(
            "user_item_topk", spark.createDataFrame([tuple(row[f] for f in schema.names) for row in rows], schema)
        )
    return warehouse.root


def test_every_version_lacks_the_rows_and_keeps_its_number(lists: Warehouse) -> None:
    newest = lists.version("user_item_topk")
    assert newest is not None
    assert newest > 9
    folder = Path(lists.path("user_item_topk"))
    assert list((folder / "_delta_log").glob("*.checkpoint.parquet"))
    assert list((folder / "_change_data").rglob("*.parquet"))
    before = [lists.read("user_item_topk", version=v).to_pylist() for v in range(newest + 1)]
    assert found_in(folder, ["Said by ben"])
    times = [path.stat().st_mtime_ns for path in History(folder).commits]
    rewrite(folder, WithoutUser("ben"))
    assert found_in(folder, ["Said by ben"]) == {}
    assert lists.version("user_item_topk") == newest
    assert [path.stat().st_mtime_ns for path in History(folder).commits] == times
    assert lists.unneeded_files("user_item_topk", list(range(newest + 1)), grace_hours=0) == []
    for version, rows in enumerate(before):
        wanted = [row for row in rows if row["user_id"] != "ben"]
        assert lists.read("user_item_topk", version=version).to_pylist() == wanted
        assert lists.row_count("user_item_topk", version) == len(wanted)


def test_all_engines_open_it_and_write_it_again(lists: Warehouse, spark: "SparkSession") -> None:
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    folder = Path(lists.path("user_item_topk"))
    rewrite(folder, WithoutUser("ben", renamed="ana"))
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    tables = SparkWarehouse(spark, lists, few=0)
    stored = tables.read("user_item_topk")
    connection = duckdb.connect()
    connection.register("stored", DeltaTable(str(folder)).to_pyarrow_dataset())
    users = {"somebody", "cleo", "dan"}
    assert {row["user_id"] for row in stored.collect()} == users
    assert {name for (name,) in connection.sql("SELECT DISTINCT user_id FROM stored").fetchall()} == users
    assert {row["user_id"] for row in stored.where("user_id = 'dan'").collect()} == {"dan"}
    version = lists.version("user_item_topk")
    assert version is not None
    feed = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 1).load(str(folder))
    assert {row["user_id"] for row in feed.select("user_id").distinct().collect()} == users
    fewer = tables.read("user_item_topk").where("user_id <> 'dan'")
    assert tables.publish("user_item_topk", fewer).deleted == 2
    assert {row["user_id"] for row in lists.read("user_item_topk").to_pylist()} == users - {"dan"}
    assert lists.read("user_item_topk", version=version).num_rows == 6


def test_delta_rs_removes_what_it_overwrites_in_every_partition(tmp_path: Path) -> None:
    """It compares paths as the log has them: what a rewriting wrote otherwise would stay beside what replaces it."""
    warehouse = Warehouse(tmp_path)
    nights = [
        pa.Table.from_pylist(
            [
                {**row, "score": row["score"] + night, "user_bucket": n % 2}
                for n, row in enumerate(shop()["user_item_topk"])
            ],
            load_contract("user_item_topk").arrow_schema(),
        )
        for night in range(3)
    ]
    for rows in nights[:2]:
        warehouse.replace_few("user_item_topk", rows)
    rewrite(Path(warehouse.path("user_item_topk")), WithoutUser("ben"))
    others = nights[2].filter(pc.not_equal(nights[2]["user_id"], "ben"))
    assert 0 < warehouse.replace_few("user_item_topk", others).updated == others.num_rows
    assert warehouse.read("user_item_topk").num_rows == others.num_rows


def test_statistics_of_new_files_are_theirs(lists: Warehouse) -> None:
    folder = Path(lists.path("user_item_topk"))
    rewrite(folder, WithoutUser("ben"))
    for row in pa.table(DeltaTable(str(folder)).get_add_actions(flatten=True)).to_pylist():
        users = set(pq.ParquetFile(folder / unquote(row["path"])).read(["user_id"])["user_id"].to_pylist())
        assert (row["min.user_id"], row["max.user_id"]) == (min(users), max(users))


def test_rows_with_long_texts_are_found_by_every_column(tmp_path: Path) -> None:
    rows = shop()["item_personas"]
    rows[0] |= {"description": "", "name": ""}
    rows[1]["description"] = "Z" * 40
    warehouse = Warehouse(tmp_path)
    put(warehouse, "item_personas", [{**row, "topic": row["item_id"]} for row in rows])

    class WithoutTuner:
        columns = frozenset({"item_id"})

        def marks(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
            goes = rows["item_id"].to_numpy(zero_copy_only=False) == "tuner"
            return goes, np.zeros(len(goes), bool)

        def applied(self, rows: pa.Table) -> pa.Table:
            return rows.filter(pc.not_equal(rows["item_id"], "tuner"))

    rewrite(tmp_path / "item_personas", WithoutTuner())
    for where in (
        "description = ''",
        f"description = '{'Z' * 40}'",
        "topic = 'capo'",
        "support = 1 AND status = 'current'",
    ):
        assert warehouse.read("item_personas", where=where).num_rows, where


def test_bounds_of_files_that_were_deleted_go(tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    for users in (["ana", "ben"], ["ana"], ["ana", "cleo"]):
        write_deltalake(
            str(folder), pa.table({"user_id": users, "text": [f"by {user}" for user in users]}), mode="overwrite"
        )
    (old,) = [path for path in folder.glob("*.parquet") if "ben" in str(pq.read_table(path))]
    old.unlink()
    assert found_in(folder, ["ben"])
    rewrite(folder, WithoutUser("ben"))
    assert found_in(folder, ["ben"]) == {}
    assert DeltaTable(str(folder), version=1).to_pyarrow_table()["user_id"].to_pylist() == ["ana"]


def test_a_file_of_nobody_else_goes_whole(tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    for user in ("ana", "ben"):
        write_deltalake(str(folder), pa.table({"user_id": [user]}), mode="append")
    rewrite(folder, WithoutUser("ben"))
    assert len(list(folder.glob("*.parquet"))) == 1
    assert DeltaTable(str(folder)).to_pyarrow_table()["user_id"].to_pylist() == ["ana"]
    assert DeltaTable(str(folder)).version() == 1


@pytest.mark.parametrize("change", ["overwrite", "restore", "delete"])
def test_the_change_data_feed_goes_on(tmp_path: Path, change: str) -> None:
    """Of a commit without a feed of its own it opens what was removed; one whose changes are all theirs changed nothing."""
    folder, feed = str(tmp_path / "reviews"), {"delta.enableChangeDataFeed": "true"}
    write_deltalake(folder, pa.table({"user_id": ["ana", "ben"]}), configuration=feed)
    if change == "overwrite":
        write_deltalake(folder, pa.table({"user_id": ["ana"]}), mode="overwrite")
    elif change == "restore":
        write_deltalake(folder, pa.table({"user_id": ["ben"]}), mode="append")
        DeltaTable(folder).restore(0)
    else:
        DeltaTable(folder).delete("user_id = 'ben'")
    wanted = [change for change in _changes(folder) if change[2] != "ben"]
    rewrite(tmp_path / "reviews", WithoutUser("ben"))
    assert _changes(folder) == wanted


def _changes(folder: str) -> list[tuple[int, str, str]]:
    told = pa.table(DeltaTable(folder).load_cdf(starting_version=0).read_all())
    columns = (told[name].to_pylist() for name in ("_commit_version", "_change_type", "user_id"))
    return sorted(zip(*columns, strict=True))


def test_checkpoints_are_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    for users in (["ana", "ben"], ["ben", "cleo"]):
        write_deltalake(folder, pa.table({"user_id": users}), mode="overwrite")
    DeltaTable(folder).create_checkpoint()
    rewrite(folder, WithoutUser("ben"))
    assert list((folder / "_delta_log").glob("*.checkpoint.parquet"))
    assert found_in(folder, ["ben"]) == {}


@pytest.mark.parametrize("step", ["write", "removals", "additions", "half the additions"])
def test_readers_at_any_moment_see_each_other_row_once(tmp_path: Path, step: str) -> None:
    folder = tmp_path / "reviews"
    write_deltalake(str(folder), pa.table({"user_id": ["ana", "ben"]}))
    write_deltalake(str(folder), pa.table({"user_id": ["ben", "cleo"]}), mode="append")
    write_deltalake(str(folder), pa.table({"user_id": ["ana", "cleo", "ben"]}), mode="overwrite")
    history = History(folder, "-e1")
    history.write(WithoutUser("ben"))
    if step != "write":
        history.point(additions=False)
    log = {path: path.read_text() for path in history.commits}
    if "additions" in step:
        history.point(additions=True)
    if step == "half the additions":
        for path in list(log)[:1]:
            path.write_text(log[path])
    wanted = [["ana"], ["ana", "cleo"], ["ana", "cleo"]]
    for version, users in enumerate(wanted):
        found = DeltaTable(str(folder), version=version).to_pyarrow_table()["user_id"].to_pylist()
        assert sorted(user for user in found if user != "ben") == users
    rewrite(folder, WithoutUser("ben"))  # whoever was killed begins again
    for version, users in enumerate(wanted):
        assert sorted(DeltaTable(str(folder), version=version).to_pyarrow_table()["user_id"].to_pylist()) == users


def test_a_log_without_its_beginning_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    for n in range(3):
        write_deltalake(str(folder), pa.table({"user_id": [f"u{n}", "ben"]}), mode="append")
    DeltaTable(str(folder)).create_checkpoint()
    (folder / "_delta_log" / f"{0:020}.json").unlink()
    with pytest.raises(PipelineError, match="does not begin with version 0"):
        rewrite(folder, WithoutUser("ben"))


def test_a_table_that_knows_nobody_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    write_deltalake(str(folder), pa.table({"user_id": ["ana"]}))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    rewrite(folder, WithoutUser("ben"))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
