"""Prepare Spark on this machine for `make setup`: fetch Delta's jars, and archive the classes that Spark loads.

A nightly Spark task on a small warehouse is mostly a JVM reading, verifying and linking 18,000 classes. The JVM can map
them from an archive instead (class data sharing, in every OpenJDK): `user_histories` of the demo took 22.8 s without
and 16.3 s with it. A JVM started with another class path ignores the archive.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyspark
from pyspark import SparkContext
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType

from persona_pipeline.config import load_config
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.atomic import atomic_file, atomic_folder
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.spark.session import (
    CLASS_ARCHIVE,
    DELTA_PACKAGE,
    JARS,
    JVM_OPTIONS,
    delta_on_classpath,
    session,
    start,
)
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.spark_tables import SparkWarehouse, spark_schema

_NEEDED = ("io.delta_*.jar", "io.unitycatalog_*.jar")  # the rest of the closure ships with Spark


def fetch_delta_jars() -> None:
    """Resolve Delta's jars and keep them in the virtual environment."""
    spark = start("local[1]", "fetch-delta-jars", {"spark.jars.packages": DELTA_PACKAGE, "spark.ui.enabled": "false"})
    resolved = [Path(name.removeprefix("file:")) for name in (spark.conf.get("spark.jars") or "").split(",")]
    _stop(spark)
    with atomic_folder(JARS) as partial:
        for jar in resolved:
            if any(jar.match(pattern) for pattern in _NEEDED):
                shutil.copy(jar, partial)


def archive_classes() -> None:
    """Record the classes a typical task loads, and have the JVM archive them. Raises PipelineError where it cannot."""
    local = load_config("local").spark
    options = local.conf.get(JVM_OPTIONS, "")
    with tempfile.TemporaryDirectory() as folder:
        classes, archive = Path(folder) / "classes.lst", Path(folder) / "classes.jsa"
        recording = {**local.conf, JVM_OPTIONS: f"{options} -XX:DumpLoadedClassList={classes}"}
        spark = session(local.model_copy(update={"conf": recording}), "record-classes")
        _typical_task(spark, Path(folder) / "warehouse")
        _stop(spark)
        # The launcher builds the class path an archive must match; a JVM that dumps exits before it would run anything.
        dumping = f"{options} -Xshare:dump -XX:SharedClassListFile={classes} -XX:SharedArchiveFile={archive}"
        settings = {"spark.master": local.master, **delta_on_classpath(local.master), JVM_OPTIONS: dumping}
        confs = [argument for key, value in settings.items() for argument in ("--conf", f"{key}={value}")]
        submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
        done = subprocess.run([submit, *confs, "pyspark-shell"], capture_output=True, text=True, check=False)
        if not archive.is_file():
            raise PipelineError(f"the JVM made no class archive:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        # Moved only when whole: a JVM given half an archive crashes.
        with atomic_file(CLASS_ARCHIVE) as partial:
            shutil.copy(archive, partial)


def _typical_task(spark: SparkSession, warehouse: Path) -> None:
    """Run the operations nightly tasks share: text in, windows, joins, Arrow functions, a table created and then merged."""
    warehouse.mkdir()
    (warehouse / "lines.txt").write_text("\n".join(f'{{"user_id": "{i}"}}' for i in range(1_000)))
    lines = spark.read.text(str(warehouse / "lines.txt"))
    users = lines.select(F.from_json("value", "user_id string").getField("user_id").alias("user_id"))
    interactions = spark_schema(load_contract("user_histories"))["interactions"].dataType
    assert isinstance(interactions, ArrayType)
    by_user = Window.partitionBy("user_id").orderBy("user_id")
    histories = users.join(users.distinct(), "user_id").select(
        "user_id",
        F.row_number().over(by_user).cast("long").alias("interaction_count"),
        F.from_json(F.lit('[{"rating": 4.0}]'), interactions).alias("interactions"),
        F.array("user_id").alias("reviewed_item_ids"),
    )
    tables = SparkWarehouse(spark, Warehouse(warehouse, {}), few=0)
    tables.replace("user_histories", histories.mapInArrow(_unchanged, histories.schema))
    tables.replace("user_histories", histories.where("user_id > '2'").withColumn("interaction_count", F.lit(2)))


def _unchanged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return batches


def _stop(spark: SparkSession) -> None:
    """End the session and its JVM, so that the next one starts with settings of its own."""
    spark.stop()
    gateway = SparkContext._gateway
    assert gateway is not None
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
    SparkContext._gateway = SparkContext._jvm = None


if __name__ == "__main__":
    if not JARS.is_dir():
        fetch_delta_jars()
    if not CLASS_ARCHIVE.is_file():
        archive_classes()
