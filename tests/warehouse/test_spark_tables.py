from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.core.errors import BusyError, ContractError
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@pytest.fixture
def histories(spark: "SparkSession") -> "Callable[[dict[str, int]], DataFrame]":
    """Rows of `user_histories` from interaction counts by user."""
    from pyspark.sql import functions as F

    from persona_pipeline.warehouse.spark_tables import spark_schema

    interactions = spark_schema(load_contract("user_histories"))["interactions"].dataType
    columns = "user_id string, interaction_count long, reviewed_item_ids array<string>"

    def made(counts: dict[str, int]) -> "DataFrame":
        rows = spark.createDataFrame([(user, n, ["i"]) for user, n in counts.items()], columns)
        return rows.withColumn("interactions", F.array().cast(interactions))

    return made


@pytest.mark.parametrize("few", [0, 20])
def test_replace_commits_what_differs_and_nothing_else(
    few: int, spark: "SparkSession", tmp_path: Path, histories: Any
) -> None:
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    warehouse = Warehouse(tmp_path, {"job": "test"})
    tables = SparkWarehouse(spark, warehouse, few=few)
    first = tables.replace("user_histories", histories({"a": 1, "b": 2, "c": 3}))
    assert (first.inserted, first.updated, first.deleted) == (3, 0, 0)
    same = tables.replace("user_histories", histories({"c": 3, "a": 1, "b": 2}))
    assert not same.changed
    assert same.version == first.version
    changed = tables.replace("user_histories", histories({"a": 1, "b": 7, "d": 4}))
    assert (changed.inserted, changed.updated, changed.deleted) == (1, 1, 1)
    assert changed.version == first.version + 1
    rows = warehouse.read("user_histories", ["user_id", "interaction_count"]).to_pylist()
    assert {row["user_id"]: row["interaction_count"] for row in rows} == {"a": 1, "b": 7, "d": 4}
    assert warehouse.read("user_histories", version=first.version).num_rows == 3
    emptied = tables.replace("user_histories", histories({"a": 1}).where("false"))
    assert emptied.deleted == 3
    assert tables.read("user_histories").count() == 0


@pytest.mark.parametrize("few", [0, 20])
def test_no_difference_is_too_small(few: int, spark: "SparkSession", tmp_path: Path) -> None:
    """A null that moves, within a row, a list or an element of one."""
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse, spark_schema

    tables = SparkWarehouse(spark, Warehouse(tmp_path, {"job": "test"}), few=few)
    schema = spark_schema(load_contract("item_reviews"))
    null = dict.fromkeys(("review_id", "user_id", "rating", "reviewed_at", "title", "text"))
    pairs: list[tuple[Any, Any]] = [
        ([], [null]),
        ([null], [null, null]),
        ([{**null, "title": "x"}], [{**null, "text": "x"}]),
        ([null, {**null, "text": "x"}], [{**null, "text": "x"}, null]),
        ([{**null, "rating": None}], [{**null, "rating": 0.0}]),
        ([{**null, "review_id": "a", "user_id": "b"}], [{**null, "review_id": "ab"}]),
    ]
    means = [(None, 0.0), (0.0, None)]
    same = [[], [null], [{**null, "text": "x", "rating": 1.5}]]

    def put(which: int) -> tuple[int, int, int]:
        rows = [{"item_id": f"e{n}", "evidence": pair[which]} for n, pair in enumerate(pairs)]
        rows += [{"item_id": f"m{n}", "evidence": [], "mean_rating": pair[which]} for n, pair in enumerate(means)]
        rows += [{"item_id": f"s{n}", "evidence": evidence} for n, evidence in enumerate(same)]
        told = [{"review_count": 1, "mean_rating": None, "last_reviewed_at": None, **row} for row in rows]
        done = tables.replace("item_reviews", spark.createDataFrame(told, schema))
        return done.inserted, done.updated, done.deleted

    changing = len(pairs) + len(means)
    assert [put(which) for which in (0, 1, 1)] == [(changing + len(same), 0, 0), (0, changing, 0), (0, 0, 0)]


@pytest.mark.parametrize("few", [0, 20])
def test_a_table_without_rows_is_a_table(few: int, spark: "SparkSession", tmp_path: Path, histories: Any) -> None:
    """Nothing is refused on most nights, the first one included."""
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    tables = SparkWarehouse(spark, Warehouse(tmp_path, {"job": "test"}), few=few)
    nothing = tables.empty("rejected_reviews")
    assert [tables.replace("rejected_reviews", nothing).version for _ in range(2)] == [0, 0]
    assert tables.files.read("rejected_reviews").num_rows == 0
    empty = tables.replace("user_histories", tables.empty("user_histories"))
    filled = tables.replace("user_histories", histories({"a": 1}))
    assert (empty.version, filled.version, filled.inserted) == (0, 1, 1)


@pytest.mark.parametrize("few", [0, 20])
def test_three_engines_open_what_spark_and_delta_rs_write(
    few: int, spark: "SparkSession", tmp_path: Path, histories: Any
) -> None:
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    warehouse = Warehouse(tmp_path, {"job": "test", "as_of": "2024-01-01"})
    tables = SparkWarehouse(spark, warehouse, few=few)
    tables.replace("user_histories", histories({"a": 1, "b": 2}))
    tables.replace("user_histories", histories({"a": 1, "b": 3, "c": 5}))
    schema = load_contract("item_summaries").arrow_schema()
    for summary in ("old", "new"):  # two commits, the second a merge
        row = {
            "item_id": "i",
            "summary": summary,
            "summary_source": "metadata",
            "extraction_key": "k",
            "extractor_version": "v1",
        }
        warehouse.replace("item_summaries", schema.empty_table().from_pylist([row], schema=schema))
    for table, expected in (("user_histories", 3), ("item_summaries", 1)):
        connection = duckdb.connect()
        connection.register("stored", DeltaTable(warehouse.path(table)).to_pyarrow_dataset())
        assert DeltaTable(warehouse.path(table)).count() == expected
        assert connection.sql("SELECT count(*) FROM stored").fetchall() == [(expected,)]
        assert tables.read(table).count() == expected


def test_a_commit_between_comparison_and_merge_is_noticed(
    spark: "SparkSession", tmp_path: Path, histories: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The MERGE holds the differences from one version; on top of another it makes neither table."""
    from persona_pipeline.warehouse import spark_tables

    tables = spark_tables.SparkWarehouse(spark, Warehouse(tmp_path, {"job": "mine"}), few=0)
    tables.replace("user_histories", histories({"a": 1, "b": 2}))
    compare = spark_tables._differences

    def overtaken(*arguments: Any) -> Any:
        found = compare(*arguments).localCheckpoint()
        histories({"theirs": 1}).write.format("delta").mode("append").save(tables.files.path("user_histories"))
        return found

    with monkeypatch.context() as patched:
        patched.setattr(spark_tables, "_differences", overtaken)
        with pytest.raises(BusyError, match="table user_histories: another process committed to it while"):
            tables.replace("user_histories", histories({"a": 5, "b": 2}))
    with Warehouse(tmp_path, {"job": "other"}).lock("user_histories"), pytest.raises(BusyError, match="other"):
        tables.replace("user_histories", histories({"a": 5}))
    again = tables.replace("user_histories", histories({"a": 5, "b": 2}))
    assert again.deleted == 1  # theirs
    assert {row["user_id"] for row in tables.read("user_histories").collect()} == {"a", "b"}


@pytest.mark.parametrize("table", table_names())
def test_spark_schema_has_the_contract_in_it(table: str) -> None:
    from persona_pipeline.warehouse.spark_tables import spark_schema

    contract = load_contract(table)
    schema = spark_schema(contract)
    assert schema.names == contract.names
    for column, field in zip(contract.columns, schema.fields, strict=True):
        assert field.nullable == column.nullable
        assert field.metadata["comment"] == column.description


def test_descriptions_are_column_comments_in_delta(spark: "SparkSession", tmp_path: Path, histories: Any) -> None:
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    SparkWarehouse(spark, Warehouse(tmp_path), few=0).replace("user_histories", histories({"a": 1}))
    field = DeltaTable(str(tmp_path / "user_histories")).schema().fields[0]
    assert field.metadata["comment"] == load_contract("user_histories").columns[0].description


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda df: df.union(df), r"user_histories: 2 repeated values of the key \(user_id\)"),
        (lambda df: df.drop("interaction_count"), r"missing \['interaction_count'\]"),
        (lambda df: df.selectExpr("*", "1 AS extra"), r"unknown \['extra'\]"),
        (lambda df: df.selectExpr("nullif(user_id, 'a') AS user_id", *df.columns[1:]), "user_id holds 1 nulls"),
    ],
)
def test_broken_rows_are_refused_before_anything_is_written(
    spark: "SparkSession", tmp_path: Path, histories: Any, change: Any, message: str
) -> None:
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    warehouse = Warehouse(tmp_path)
    with pytest.raises(ContractError, match=message):
        SparkWarehouse(spark, warehouse, few=0).replace("user_histories", change(histories({"a": 1, "b": 2})))
    assert not warehouse.exists("user_histories")


def test_a_table_of_the_other_engine_is_refused(spark: "SparkSession", tmp_path: Path) -> None:
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    tables = SparkWarehouse(spark, Warehouse(tmp_path), few=0)
    with pytest.raises(ContractError, match="written by delta-rs"):
        tables.replace("item_summaries", tables.empty("item_summaries"))


@pytest.fixture
def lists(spark: "SparkSession") -> "Callable[..., DataFrame]":
    """Rows of `user_item_topk` of that many users, in no order; users named are recommended something else."""
    from pyspark.sql import functions as F

    from persona_pipeline.warehouse.spark_tables import spark_schema

    shape = spark_schema(load_contract("user_item_topk"))
    filler = {
        name: F.array() if name in ("evidence", "contributions") else F.lit("x")
        for name in load_contract("user_item_topk").names
    }
    filler |= {"changed_as_of": F.lit("2024-01-01")}

    def rows(users: int, *changed: str) -> "DataFrame":
        ranked = spark.range(users * 3).select(
            F.format_string("u%03d", (F.col("id") * 37) % users).alias("user_id"),
            (F.floor(F.col("id") / users) + 1).alias("rank"),
        )
        told = ranked.withColumns(
            {
                **{name: value for name, value in filler.items() if name not in ranked.columns},
                "score": F.when(F.col("user_id").isin(*changed), 0.9).otherwise(0.5),
                "user_bucket": F.pmod(F.crc32(F.encode("user_id", "utf-8")), F.lit(2)),
            }
        )
        return told.select(*(F.col(field.name).cast(field.dataType) for field in shape.fields))

    return rows


def in_order(path: str) -> bool:
    """Whether every file has its rows by user and rank."""
    for file in DeltaTable(path).file_uris():
        rows = pq.read_table(file, columns=["user_id", "rank"], partitioning=None).to_pylist()
        if rows != sorted(rows, key=lambda row: (row["user_id"], row["rank"])):
            return False
    return True


def test_what_is_published_is_in_order_and_can_be_followed(spark: "SparkSession", tmp_path: Path, lists: Any) -> None:
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    warehouse = Warehouse(tmp_path, {"job": "releases"})
    tables, path = SparkWarehouse(spark, warehouse, few=0), warehouse.path("user_item_topk")
    first = tables.publish("user_item_topk", lists(40))
    assert first.inserted == 120
    assert in_order(path)

    second = tables.publish("user_item_topk", lists(40, "u007", "u008"))
    assert (second.inserted, second.updated, second.deleted) == (0, 6, 0)
    assert in_order(path)
    assert second.version == warehouse.version("user_item_topk")
    again = tables.publish("user_item_topk", lists(40, "u007", "u008"))
    assert (again.changed, again.version) == (False, second.version)

    feed = pa.table(DeltaTable(path).load_cdf(starting_version=first.version + 1)).to_pylist()
    after = [row for row in feed if row["_change_type"] == "update_postimage"]
    assert sorted((row["user_id"], row["rank"], row["score"]) for row in after) == [
        (user, rank, 0.9) for user in ("u007", "u008") for rank in (1, 2, 3)
    ]
    assert {row["_change_type"] for row in feed} == {"update_preimage", "update_postimage"}
    by_spark = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", first.version + 1)
    assert by_spark.load(path).count() == len(feed) == 12

    connection = duckdb.connect()
    connection.register("stored", DeltaTable(path).to_pyarrow_dataset())
    assert connection.sql("SELECT count(*), count(*) FILTER (score > 0.8) FROM stored").fetchall() == [(120, 6)]
    assert tables.read("user_item_topk").count() == DeltaTable(path).count() == 120


def test_a_table_from_before_gets_its_feed_and_its_order(spark: "SparkSession", tmp_path: Path, lists: Any) -> None:
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    warehouse = Warehouse(tmp_path, {"job": "releases"})
    tables, path = SparkWarehouse(spark, warehouse, few=0), warehouse.path("user_item_topk")
    before = lists(40).repartition(1)
    before.write.format("delta").partitionBy("user_bucket").save(path)
    assert not in_order(path)
    same = tables.publish("user_item_topk", lists(40))
    assert not same.changed
    assert in_order(path)
    assert DeltaTable(path).metadata().configuration["delta.enableChangeDataFeed"] == "true"
    assert tables.publish("user_item_topk", lists(40)).version == same.version


def test_columns_that_an_earlier_version_did_not_have_are_filled_in(spark: "SparkSession", tmp_path: Path) -> None:
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse, spark_schema

    interactions = pa.list_(pa.struct([("review_id", pa.string()), ("item_id", pa.string()), ("rating", pa.float64())]))
    old = pa.schema([("user_id", pa.string()), ("interaction_count", pa.int64()), ("interactions", interactions)])
    review = {"review_id": "r", "item_id": "i", "rating": 5.0}
    row = {"user_id": "a", "interaction_count": 1, "interactions": [review]}
    write_deltalake(str(tmp_path / "user_histories"), pa.Table.from_pylist([row], schema=old))
    (found,) = (rows := SparkWarehouse(spark, Warehouse(tmp_path), few=0).read("user_histories")).collect()
    assert found.asDict(recursive=True) == {
        "user_id": "a",
        "interaction_count": 1,
        "interactions": [{"interaction_id": None, "kind": None, "weight": None, **review, "reviewed_at": None}],
        "reviewed_item_ids": None,
    }
    wanted = spark_schema(load_contract("user_histories"))
    assert [field.dataType.simpleString() for field in rows.schema] == [f.dataType.simpleString() for f in wanted]
