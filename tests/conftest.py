"""One Spark for the whole session: a JVM costs seconds."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# A test that fails on a busy machine says nothing.
settings.register_profile("no_clock", deadline=None)
settings.load_profile("no_clock")

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

if not hasattr(sys.modules["__main__"], "__file__"):
    # A worker of pytest-xdist has no main module, and PySpark takes it for its own doctests and ends it.
    sys.modules["__main__"].__file__ = __file__
    # Of no terminal, as readline leaves them there.
    for size in ("COLUMNS", "LINES"):
        os.environ.pop(size, None)

_LONGEST = (
    "tests/test_night.py",
    "tests/backtest/test_run.py",
    "tests/erasure/test_nights.py",
    "tests/runs/test_migrations.py",
    "tests/jobs/test_reviews.py",
    "tests/score/test_eligible.py",
    "tests/publish/test_chaos.py",
    "tests/warehouse/test_history.py",
    "tests/extract/llm/engines/test_vllm.py",
    "tests/extract/llm/test_kill.py",
    "tests/commands/test_preview.py",
)
"""Files that take minutes. They begin first, so that no worker has one left when the others are done."""
_ended: list[str] = []
"""How JVMs ended that nobody had stopped, and before which test."""
_ended_gateways: list[object] = []
"""Kept: what refers to them is closed when the process ends, and says so in no test."""


@pytest.fixture(scope="session")
def spark() -> "Iterator[SparkSession]":
    from persona_pipeline.config import SparkConfig, load_config
    from persona_pipeline.spark.session import session

    local = load_config("local").spark
    settings = SparkConfig(master="local[2]", driver_memory="2g", shuffle_partitions=2, conf=local.conf)
    started = session(settings, "tests")
    yield started
    if _alive():
        started.stop()


@pytest.fixture(autouse=True)
def _nothing_is_left_in_memory(request: pytest.FixtureRequest) -> "Iterator[None]":
    """A job's process ends with what it persisted; the session's JVM has to be told."""
    yield
    if "spark" in request.fixturenames and _alive():
        request.getfixturevalue("spark").catalog.clearCache()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start the JVM again where the machine has ended it: one test may fail by that, not all that follow."""
    if "pyspark" not in sys.modules or _alive():
        return
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    gateway = SparkContext._gateway
    if gateway is None:
        return
    _ended.append(f"ended with {gateway.proc.returncode} before {item.nodeid}")
    with suppress(Exception):
        gateway.shutdown()
    with suppress(OSError):
        gateway.proc.stdin.close()
    _ended_gateways.append(gateway)
    SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
    SparkSession._instantiatedSession = None
    for definition in item.session._fixturemanager.getfixturedefs("spark", item) or ():
        definition.finish(item._request)  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that it happened, and what the JVM left behind."""
    for told in _ended:
        terminalreporter.write_line(f"the tests' JVM {told}; another was started")
    for report in Path.cwd().glob("hs_err_pid*.log") if _ended else ():
        terminalreporter.write_line("\n".join(report.read_text(errors="replace").splitlines()[:40]))


def _alive() -> bool:
    from pyspark import SparkContext

    return SparkContext._gateway is not None and SparkContext._gateway.proc.poll() is None
