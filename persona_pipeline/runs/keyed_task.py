"""Open what runs a keyed task of a run: by its configuration on this machine, or on Spark."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from persona_pipeline.config.keyed import KeyedTask
from persona_pipeline.contracts import load_contract
from persona_pipeline.keyed import Keyed, keyed_work
from persona_pipeline.runs.context import RunContext

logger = logging.getLogger(__name__)


@contextmanager
def keyed_task(context: RunContext, task: KeyedTask) -> Iterator[Keyed]:
    """Open what runs a keyed task by `keyed.engine`, or by what `keyed.engines` says of the task.

    `auto` is Spark where `spark.master` is not this machine and the task reads much; it says what it chose, and why.
    """
    config = context.config
    name = config.keyed.engines.get(task, config.keyed.engine)
    reads = context.warehouse.stored_bytes(*{*load_contract(task).reads, task})
    if name == "auto":
        is_elsewhere = not config.spark.master.startswith("local")
        name = "spark" if is_elsewhere and reads >= config.keyed.spark_from_bytes else "local"
        logger.info(
            "engine %s: %d MB to read, spark.master %s, keyed.spark_from_bytes %d MB",
            name,
            reads >> 20,
            config.spark.master,
            config.keyed.spark_from_bytes >> 20,
        )
    if name == "local":
        with keyed_work(context.warehouse, config.keyed, task) as keyed:
            yield keyed
        return
    from persona_pipeline.keyed.on_spark import OnSpark
    from persona_pipeline.spark.session import session

    engine = OnSpark(session(config.spark, task, reads), config.keyed.memory_bytes)
    with keyed_work(context.warehouse, config.keyed, task, engine) as keyed:
        yield keyed
