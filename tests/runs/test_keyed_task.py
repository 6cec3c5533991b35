"""Which engine runs a keyed task."""

import logging
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from helpers import put, shop

from persona_pipeline.config import load_config
from persona_pipeline.keyed import on_spark
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.keyed_task import keyed_task
from persona_pipeline.spark import session
from persona_pipeline.warehouse import Warehouse

CLUSTER = {"spark": {"master": "spark://far:7077"}}


@pytest.mark.parametrize(
    ("settings", "engine"),
    [
        ({}, "local"),
        ({"keyed": {"spark_from_bytes": 0}}, "local"),  # Spark here would be the same cores, and a JVM
        ({**CLUSTER, "keyed": {"spark_from_bytes": 0}}, "spark"),
        (CLUSTER, "local"),  # so little
        ({"keyed": {"engine": "spark"}}, "spark"),
        ({"keyed": {"engine": "spark", "engines": {"user_vectors": "local"}}}, "local"),
        ({"keyed": {"engines": {"user_vectors": "spark"}}}, "spark"),
    ],
)
def test_the_engine_is_what_is_configured_or_follows_from_size(
    settings: dict[str, Any],
    engine: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(session, "session", lambda *_: "session")
    warehouse = Warehouse(tmp_path)
    put(warehouse, "user_histories", shop()["user_histories"])
    context = RunContext(date(2024, 6, 30), load_config("local", settings), warehouse, None)
    with caplog.at_level(logging.INFO), keyed_task(context, "user_vectors") as keyed:
        assert keyed.engine.name == engine
        assert isinstance(keyed.engine, on_spark.OnSpark) == (engine == "spark")
    told = "engine" not in settings.get("keyed", {}) and "engines" not in settings.get("keyed", {})
    assert any(f"engine {engine}: 0 MB to read" in line for line in caplog.messages) == told
