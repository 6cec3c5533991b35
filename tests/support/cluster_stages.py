"""The keyed stages on a standalone cluster of Spark, one after the other in one session.

python cluster_stages.py WAREHOUSE MASTER BUCKET_BYTES STAGE ...
"""

import sys
from pathlib import Path

from measured_stage import stages

from persona_pipeline.config import KeyedConfig, SparkConfig
from persona_pipeline.keyed import keyed_work
from persona_pipeline.keyed.on_spark import OnSpark
from persona_pipeline.spark.session import session
from persona_pipeline.warehouse import Warehouse

SMALL = {
    "spark.executor.memory": "512m",
    "spark.executor.cores": "1",
    "spark.cores.max": "2",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


def main(root: Path, master: str, bucket_bytes: int, names: list[str]) -> None:
    """Run the stages."""
    spark = session(SparkConfig(master=master, driver_memory="512m", conf=SMALL), "cluster")
    warehouse = Warehouse(root)
    for name in names:
        with keyed_work(warehouse, KeyedConfig(bucket_bytes=bucket_bytes), name, OnSpark(spark, 2**30)) as keyed:
            stages(warehouse)[name](keyed)
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:])
