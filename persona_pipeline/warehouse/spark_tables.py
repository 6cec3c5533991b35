"""Read and write Delta tables by Spark: DataFrames in and out, written as the smallest MERGE that makes the table equal."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial, reduce

from delta.exceptions import DeltaConcurrentModificationException
from delta.tables import DeltaTable
from pyspark import StorageLevel
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from persona_pipeline.contracts import Contract, StructField, load_contract
from persona_pipeline.core.errors import BusyError, ContractError
from persona_pipeline.warehouse._delta import READABLE, TABLE_PROPERTIES
from persona_pipeline.warehouse._earlier import BEFORE, FORMER
from persona_pipeline.warehouse.delta_rs import Warehouse, WriteResult

_SCALARS: dict[str, T.DataType] = {
    "string": T.StringType(),
    "boolean": T.BooleanType(),
    "int": T.IntegerType(),
    "long": T.LongType(),
    "float": T.FloatType(),
    "double": T.DoubleType(),
    "date": T.DateType(),
    "timestamp": T.TimestampType(),
}

FEW = 5_000
"""Rows that are not worth Spark's reading and writing of Delta, which costs seconds whatever the table."""
_BROADCAST = 500_000  # changed rows whose keys are sent to where the others lie
_GROUP_BYTES = 2**19  # of a row group of a sorted table, encoded: the unit read to look up one row


def spark_schema(contract: Contract) -> T.StructType:
    """Convert a contract to a Spark schema, descriptions as column comments."""

    def struct(fields: tuple[StructField, ...]) -> T.StructType:
        return T.StructType([T.StructField(f.name, _SCALARS[f.type], True, {"comment": f.description}) for f in fields])

    def kind(type_: str, items: str | None, fields: tuple[StructField, ...]) -> T.DataType:
        if type_ != "list":
            return _SCALARS[type_]
        return T.ArrayType(_SCALARS[items] if items else struct(fields), True)

    return T.StructType(
        [
            T.StructField(c.name, kind(c.type, c.items, c.fields), c.nullable, {"comment": c.description})
            for c in contract.columns
        ]
    )


def _completed(contract: Contract, rows: DataFrame) -> DataFrame:
    """Rows with all the contract's columns and fields, where an earlier version of this code stored fewer (`_earlier`)."""
    stored = {field.name: field.dataType for field in rows.schema}
    for wanted in spark_schema(contract):
        kept = stored.get(wanted.name)
        former = FORMER.get((contract.table, wanted.name))
        if kept is None and former in stored:
            rows = rows.withColumnRenamed(former, wanted.name)
        elif kept is None:
            before = F.lit(BEFORE.get((contract.table, wanted.name)))
            rows = rows.withColumn(wanted.name, before.cast(wanted.dataType))
        elif isinstance(kept, T.ArrayType) and isinstance(kept.elementType, T.StructType):
            assert isinstance(wanted.dataType, T.ArrayType)
            assert isinstance(wanted.dataType.elementType, T.StructType)
            there, fields = set(kept.elementType.names), wanted.dataType.elementType
            if there < set(fields.names):
                rows = rows.withColumn(wanted.name, F.transform(wanted.name, partial(_with_fields, fields, there)))
    return rows


def _with_fields(fields: T.StructType, there: set[str], element: SparkColumn) -> SparkColumn:
    return F.struct(
        *(
            (element[field.name] if field.name in there else F.lit(None).cast(field.dataType)).alias(field.name)
            for field in fields
        )
    )


class SparkWarehouse:
    """The tables of a `Warehouse` as DataFrames.

    Tables of at most `few` rows are read and written by delta-rs: what Spark does is the same on them.
    """

    def __init__(self, spark: SparkSession, warehouse: Warehouse, few: int = FEW) -> None:
        self.spark = spark
        self.files = warehouse
        self.few = few

    def read(self, table: str, version: int | None = None) -> DataFrame:
        """Read the table at a version (the newest by default); empty where it was never written."""
        if not self.files.exists(table):
            return self.empty(table)
        version = self.files.reading(table) if version is None else version
        if self.files.holds_few(table, self.few, version):
            rows = self.files.read(table, None, version)
            return self.spark.createDataFrame(rows, spark_schema(load_contract(table))) if rows else self.empty(table)
        reader = self.spark.read.format("delta")
        rows = (reader if version is None else reader.option("versionAsOf", version)).load(self.files.path(table))
        return _completed(load_contract(table), rows)

    def empty(self, table: str) -> DataFrame:
        """An empty DataFrame with the table's columns."""
        return self.spark.createDataFrame([], spark_schema(load_contract(table)))

    def replace(self, table: str, rows: DataFrame, *, cheap: bool = False) -> WriteResult:
        """Make the table hold exactly these rows, committing only the differences.

        `cheap` rows cost little more to compute than to read, and are computed whenever they are needed; others once.

        Raises ContractError, before anything is written, for wrong columns, nulls or repeated keys; BusyError where
        another process writes the table.
        """
        contract = self._writable(table)
        with self._conformed(contract, rows, cheap=cheap) as wanted:
            # Keys alone are brought together, of no more rows than that of each partition.
            if self.few and wanted.select(*contract.key).limit(self.few + 1).count() <= self.few:
                return self.files.replace_few(table, wanted.toArrow())
            total = _check(contract, wanted)
            with self.files.lock(table):
                return self._write(contract, wanted, total, READABLE)

    def delete(self, table: str, where: str) -> None:
        """Delete the rows of a table that `where` names; nothing is committed where there are none."""
        if not self.files.exists(table):
            return
        if self.files.holds_few(table, self.few):
            self.files.replace_few(table, self.files.read(table, where=f"NOT ({where})"))
            return
        with self.files.lock(table):
            DeltaTable.forPath(self.spark, self.files.path(table)).delete(where)

    def publish(self, table: str, rows: DataFrame) -> WriteResult:
        """`replace` for a table that readers open: stored in the contract's order, with its change data feed.

        A MERGE leaves the files it rewrites unordered. They are rewritten in order, in a separate commit that
        changes no row: the change data feed skips it. A table without order or feed gets both.
        """
        contract = self._writable(table)
        properties = {**READABLE, **_published(contract)}
        with self._conformed(contract, rows) as wanted:
            total = _check(contract, wanted)
            with self.files.lock(table):
                new = not self.files.exists(table)
                missing = {} if new else self._missing(contract, properties)
                if missing:
                    pairs = ", ".join(f"'{name}' = '{value}'" for name, value in missing.items())
                    self.spark.sql(f"ALTER TABLE delta.`{self.files.path(table)}` SET TBLPROPERTIES ({pairs})")
                result = self._write(contract, wanted, total, properties)
                if contract.sort_by and not new:
                    self._restore_order(contract, everything=bool(missing))
                version = self.files.version(table)
                assert version is not None
                published = replace(result, version=version)
                self.files.wrote(published)
                return published

    def _writable(self, table: str) -> Contract:
        contract = load_contract(table)
        if contract.engine != "spark":
            raise ContractError(f"table {table}: schemas/{table}.yaml says it is written by {contract.engine}")
        self.files.check_writable(table)
        return contract

    @contextmanager
    def _conformed(self, contract: Contract, rows: DataFrame, *, cheap: bool = False) -> Iterator[DataFrame]:
        """Yield rows with the contract's columns, computed once unless they are `cheap`."""
        wanted = _conform(contract, rows)
        if cheap:
            yield wanted
            return
        wanted = wanted.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            yield wanted
        finally:
            wanted.unpersist()

    def _say_who(self) -> None:
        """Have the next commits say which task of which run made them."""
        self.spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", json.dumps(self.files.commit))

    def _write(self, contract: Contract, wanted: DataFrame, total: int, properties: Mapping[str, str]) -> WriteResult:
        base = self.files.version(contract.table)
        self._say_who()
        try:
            if base is None:
                self._create(contract, properties)
                if total:  # of no rows Delta commits nothing
                    ordered = _ordered(contract, wanted)
                    ordered.write.format("delta").mode("append").save(self.files.path(contract.table))
                counts, expected = {"insert": total}, int(total > 0)
            else:
                counts = self._merge(contract, wanted, base)
                expected = base + bool(counts)
        except DeltaConcurrentModificationException as error:
            raise _overtaken(contract.table) from error
        version = self.files.version(contract.table)
        # The differences are relative to `base`; applied to any other version they give a wrong table.
        if version != expected:
            raise _overtaken(contract.table)
        done = (counts.get(op, 0) for op in ("insert", "update", "delete"))
        result = WriteResult(contract.table, expected, *done)
        self.files.wrote(result)
        return result

    def _missing(self, contract: Contract, properties: Mapping[str, str]) -> dict[str, str]:
        """Properties of the table that are missing or differ."""
        detail = DeltaTable.forPath(self.spark, self.files.path(contract.table)).detail().collect()[0]
        return {name: value for name, value in properties.items() if detail["properties"].get(name) != value}

    def _restore_order(self, contract: Contract, *, everything: bool) -> None:
        """Rewrite partitions in the contract's order: all, or those to which the newest commit, a MERGE, added files."""
        path = self.files.path(contract.table)
        newest = DeltaTable.forPath(self.spark, path).history(1).collect()[0]
        if not everything and newest["operation"] != "MERGE":
            return
        partitions = self.files.partitions(contract.table, since=None if everything else newest["version"] - 1)
        values = [" AND ".join(f"{name} = {value!r}" for name, value in found.items()) for found in partitions]
        if not values:
            return
        where = " OR ".join(f"({value})" for value in values)
        ordered = _ordered(contract, self.read(contract.table).where(where))
        same = (
            ordered.write.format("delta").mode("overwrite").option("replaceWhere", where).option("dataChange", "false")
        )
        try:
            same.save(path)
        except DeltaConcurrentModificationException as error:
            raise _overtaken(contract.table) from error

    def _merge(self, contract: Contract, wanted: DataFrame, base: int) -> dict[str, int]:
        # A checkpoint: what is made of persisted rows is described with all that these are made of.
        told = _differences(contract, wanted, self.read(contract.table, base)).localCheckpoint()
        counts = {row["_op"]: row["count"] for row in told.groupBy("_op").count().collect()}
        if counts:
            changed = told.where("_op <> 'delete'")
            changed = F.broadcast(changed) if sum(counts.values()) <= _BROADCAST else changed
            changes = wanted.join(changed, list(contract.key))
            changes = changes.unionByName(told.where("_op = 'delete'"), allowMissingColumns=True)
            changes = changes.persist(StorageLevel.MEMORY_AND_DISK)
            matches = reduce(SparkColumn.__and__, (F.col(f"stored.{c}") == F.col(f"changed.{c}") for c in contract.key))
            assignments: dict[str, str | SparkColumn] = {name: F.col(f"changed.{name}") for name in contract.names}
            (
                DeltaTable.forPath(self.spark, self.files.path(contract.table))
                .alias("stored")
                .merge(changes.alias("changed"), matches)
                .whenMatchedDelete(F.col("changed._op") == "delete")
                .whenMatchedUpdate(F.col("changed._op") == "update", assignments)
                .whenNotMatchedInsert(F.col("changed._op") == "insert", assignments)
                .execute()
            )
            changes.unpersist()
        return counts

    def _create(self, contract: Contract, properties: Mapping[str, str]) -> None:
        builder = (
            DeltaTable.createIfNotExists(self.spark)
            .location(self.files.path(contract.table))
            .addColumns(spark_schema(contract))
            .partitionedBy(*contract.partition_by)
            .comment(contract.description)
        )
        for name, value in {**properties, **TABLE_PROPERTIES}.items():
            builder = builder.property(name, value)
        builder.execute()


def _overtaken(table: str) -> BusyError:
    return BusyError(
        f"table {table}: another process committed to it while it was being written. Run this again: it makes the table whole"
    )


def _published(contract: Contract) -> dict[str, str]:
    """Properties of a table that readers open."""
    feed = {"delta.enableChangeDataFeed": "true"} if contract.change_feed else {}
    # Delta hands a table's properties to the Parquet writer.
    return feed | ({"parquet.block.size": str(_GROUP_BYTES)} if contract.sort_by else {})


def _ordered(contract: Contract, rows: DataFrame) -> DataFrame:
    if not contract.sort_by:
        return rows
    parted = rows.repartition(*contract.partition_by) if contract.partition_by else rows
    return parted.sortWithinPartitions(*contract.partition_by, *contract.sort_by)


def _conform(contract: Contract, rows: DataFrame) -> DataFrame:
    found, wanted = set(rows.columns), set(contract.names)
    if found != wanted:
        raise ContractError(
            f"table {contract.table}: columns differ from schemas/{contract.table}.yaml: "
            f"missing {sorted(wanted - found) or 'none'}, unknown {sorted(found - wanted) or 'none'}"
        )
    return rows.select(*(F.col(f.name).cast(f.dataType).alias(f.name) for f in spark_schema(contract)))


def _check(contract: Contract, rows: DataFrame) -> int:
    """Return the number of rows, if they satisfy the contract."""
    required = [c.name for c in contract.columns if not c.nullable]
    # One pass over hashes of the keys: the partial aggregate carries the null counts along.
    nulls = [F.sum(F.col(name).isNull().cast("long")).alias(f"nulls_{name}") for name in required]
    by_key = rows.groupBy(F.xxhash64(*contract.key)).agg(F.count("*").alias("n"), *nulls)
    totals = [F.sum("n").alias("rows"), F.sum((F.col("n") > 1).cast("long")).alias("repeated")]
    totals += [F.sum(f"nulls_{name}").alias(f"nulls_{name}") for name in required]
    found = by_key.agg(*totals).collect()[0].asDict()
    faults = [f"column {n} holds {found[f'nulls_{n}']} nulls, none allowed" for n in required if found[f"nulls_{n}"]]
    # Of billions of keys two may have one hash.
    if found["repeated"] and (repeated := rows.groupBy(*contract.key).count().where("count > 1").count()):
        faults.append(f"{repeated} repeated values of the key ({', '.join(contract.key)})")
    if faults:
        raise ContractError(f"table {contract.table}: " + "; ".join(faults))
    return found["rows"] or 0


def _differences(contract: Contract, wanted: DataFrame, stored: DataFrame) -> DataFrame:
    """Return the keys of new, changed and vanished rows with their `_op`: one full outer join of keys and hashes of rows.

    A changed row whose hash of 64 bits is that of the stored one would be missed: once in 2**64 changed rows.
    """
    key = list(contract.key)
    says = F.xxhash64(
        *(part for field in spark_schema(contract) for part in _hashed(F.col(field.name), field.dataType))
    )
    op = (
        F.when(F.col("stored").isNull(), "insert")
        .when(F.col("wanted").isNull(), "delete")
        .when(F.col("wanted") != F.col("stored"), "update")
    )
    joined = wanted.select(*key, says.alias("wanted")).join(
        stored.select(*key, says.alias("stored")), key, "full_outer"
    )
    return joined.select(*key, op.alias("_op")).where("_op IS NOT NULL")


def _hashed(value: SparkColumn, kind: T.DataType) -> list[SparkColumn]:
    """What of a value to hash: Spark's hash passes over nulls, and over where one list ends and the next begins.

    Lists as they are, field by field: `transform` with a function of one element takes ten times as long as the hash.
    """
    if not isinstance(kind, T.ArrayType):
        return [value.isNull(), value]
    if isinstance(kind.elementType, T.StructType):
        fields = [(value[field.name], field.dataType) for field in kind.elementType]
        return [F.size(value), *(part for field in fields for part in (field[0], _where_null(*field)))]
    return [F.size(value), value, _where_null(value, kind.elementType)]


def _where_null(values: SparkColumn, kind: T.DataType) -> SparkColumn:
    """A text that tells which elements of a list are null, and more where that is cheap to say."""
    numbers = isinstance(kind, T.NumericType | T.BooleanType)
    return (values.cast("array<boolean>") if numbers else values).cast("string")
