"""One Spark for the whole session: a JVM costs seconds."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# A test that fails on a busy machine says nothing.
settings.register_profile("no_clock", deadline=None)
settings.load_profile("no_clock")

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark() -> "Iterator[SparkSession]":
    from persona_pipeline.config import SparkConfig, load_config
    from persona_pipeline.spark.session import session

    local = load_config("local").spark
    settings = SparkConfig(master="local[2]", driver_memory="2g", shuffle_partitions=2, conf=local.conf)
    started = session(settings, "tests")
    yield started
    started.stop()
