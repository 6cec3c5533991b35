"""Run tasks on Spark's executors, one a partition, in Arrow batches of what they return."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pyarrow as pa
from pyspark.serializers import CloudPickleSerializer
from pyspark.sql import SparkSession

from persona_pipeline.warehouse import limit_memory

Loaded = TypeVar("Loaded")
Done = TypeVar("Done")
_PICKLE: Any = CloudPickleSerializer()
Batches = Iterator[pa.RecordBatch]


class OnSpark:
    """`memory_bytes` is what DuckDB may hold in each Python worker.

    Executors reach the warehouse and its scratch folder under the same path as the driver does.

    Spark tries a task again where its executor is lost: what the first try wrote belongs to no version.
    """

    name = "spark"

    def __init__(self, spark: SparkSession, memory_bytes: int) -> None:
        self._spark, self._memory = spark, memory_bytes

    def run(self, number: int, load: Callable[[int], Loaded], work: Callable[[Loaded], Done]) -> Iterator[Done]:
        """Return `work(load(task))` of every task, in order."""
        if not number:
            return iter(())

        memory = self._memory

        def done(batches: Batches) -> Batches:
            limit_memory(memory)  # of this worker: no job has bounded it
            for batch in batches:
                tasks = batch["id"].to_pylist()
                results = [_PICKLE.dumps(work(load(task))) for task in tasks]
                yield pa.record_batch({"id": pa.array(tasks, pa.int64()), "done": pa.array(results, pa.binary())})

        found = self._spark.range(0, number, 1, number).mapInArrow(done, "id long, done binary").collect()
        return iter([_PICKLE.loads(row["done"]) for row in sorted(found, key=lambda row: int(row["id"]))])
