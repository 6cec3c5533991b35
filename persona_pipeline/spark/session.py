"""Create Spark sessions with Delta; no other module does.

In local mode Delta's jars and an archive of Spark's classes come from the virtual environment, where `make setup` puts
them once (`spark.setup`); resolving jars through Ivy at every start would cost seconds and the network. On any other master the
driver hands the same jars to its executors; only where there are none does it resolve them.
"""

import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from pyspark.sql import SparkSession

from persona_pipeline.config import SparkConfig
from persona_pipeline.core.errors import PipelineError

DELTA_PACKAGE = f"io.delta:delta-spark_4.2_2.13:{version('delta-spark')}"
JARS = Path(sys.prefix) / "delta-jars" / version("delta-spark")
CLASS_ARCHIVE = JARS.parent / f"spark-{version('pyspark')}-delta-{version('delta-spark')}.jsa"
JVM_OPTIONS = "spark.driver.extraJavaOptions"
LONG = 1 << 30
"""Bytes of input below which the JVM's second compiler costs a task on one machine more than it gives: of a million reviews
`user_histories` takes 48 s with it and 36 s without, on two cores."""


def session(config: SparkConfig, name: str, reads: int = 0) -> SparkSession:
    """Create a session with Delta, for a task that reads so many bytes. Raises PipelineError without Java or the Delta jars."""
    settings = {
        **delta_on_classpath(config.master),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(config.shuffle_partitions),
        # The tables' logs are small; Delta's default of 50 tasks per snapshot is all overhead.
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.driver.memory": config.driver_memory,
        "spark.ui.enabled": "false",
        # Descriptions of plans, which Spark keeps of the last thousand queries although nobody looks at them here.
        "spark.sql.maxPlanStringLength": "65536",
        "spark.sql.ui.retainedExecutions": "10",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.catalogImplementation": "in-memory",
        **config.conf,
    }
    if _is_local(config.master):
        first_compiler = "-XX:TieredStopAtLevel=1" if reads < LONG else ""
        archive = f"-XX:SharedArchiveFile={CLASS_ARCHIVE}" if CLASS_ARCHIVE.is_file() else ""
        settings[JVM_OPTIONS] = f"{settings.get(JVM_OPTIONS, '')} {first_compiler} {archive}"
    spark = start(config.master, name, settings)
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def delta_on_classpath(master: str) -> dict[str, str]:
    """Settings that bring Delta's jars to a driver of this master."""
    if not JARS.is_dir():
        return {"spark.jars.packages": DELTA_PACKAGE}
    if _is_local(master):
        return {"spark.driver.extraClassPath": f"{JARS}/*"}
    return {"spark.jars": ",".join(str(jar) for jar in sorted(JARS.glob("*.jar")))}


def start(master: str, name: str, settings: dict[str, str]) -> SparkSession:
    """Create a session with exactly these settings. Raises PipelineError when Java is missing or Spark does not start."""
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        raise PipelineError(
            "Spark needs Java 17, and there is no `java` on the PATH. Debian: apt-get install openjdk-17-jre-headless"
        )
    if _is_local(master):
        # Otherwise Spark binds to whatever the host's name resolves to, and warns when that is a loopback address.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        # Python workers of a cluster have their own interpreter; here it must be this one, not the first on the PATH.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name).master(master)
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except Exception as error:  # py4j and pyspark raise several kinds; all mean the same to the reader
        raise PipelineError(f"Spark did not start on {master}: {error}") from error


def _is_local(master: str) -> bool:
    return master.startswith("local")
