"""The one place that makes a Spark session.

In local mode Delta's jars come from a folder of the virtual environment, filled once by `make setup`; resolving them
through Ivy at every start would cost seconds and the network. Any other master resolves them itself, so that its
executors get them too.
"""

import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from pyspark.sql import SparkSession

from persona_pipeline.config import SparkConfig
from persona_pipeline.errors import PipelineError

DELTA_PACKAGE = f"io.delta:delta-spark_4.2_2.13:{version('delta-spark')}"
JARS = Path(sys.prefix) / "delta-jars" / version("delta-spark")
_NEEDED = ("io.delta_*.jar", "io.unitycatalog_*.jar")  # the rest of the closure ships with Spark


def session(config: SparkConfig, name: str) -> SparkSession:
    """A session with Delta. Raises PipelineError when Java or the Delta jars cannot be had."""
    settings = {
        **_delta_on_classpath(config.master),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(config.shuffle_partitions),
        # The tables' logs are small; Delta's default of 50 tasks per snapshot is all overhead.
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.driver.memory": config.driver_memory,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.catalogImplementation": "in-memory",
        **config.conf,
    }
    spark = _start(config.master, name, settings)
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def fetch_delta_jars() -> Path:
    """Resolve Delta's jars once and keep them in the virtual environment; returns their folder."""
    if not JARS.is_dir():
        spark = _start(
            "local[1]", "fetch-delta-jars", {"spark.jars.packages": DELTA_PACKAGE, "spark.ui.enabled": "false"}
        )
        resolved = [Path(name.removeprefix("file:")) for name in (spark.conf.get("spark.jars") or "").split(",")]
        spark.stop()
        partial = JARS.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for jar in resolved:
            if any(jar.match(pattern) for pattern in _NEEDED):
                shutil.copy(jar, partial)
        partial.rename(JARS)
    return JARS


def _delta_on_classpath(master: str) -> dict[str, str]:
    if master.startswith("local") and JARS.is_dir():
        return {"spark.driver.extraClassPath": f"{JARS}/*"}
    return {"spark.jars.packages": DELTA_PACKAGE}


def _start(master: str, name: str, settings: dict[str, str]) -> SparkSession:
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        raise PipelineError(
            "Spark needs Java 17, and there is no `java` on the PATH. Debian: apt-get install openjdk-17-jre-headless"
        )
    if master.startswith("local"):
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
