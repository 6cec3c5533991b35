"""A ledger on an empty warehouse, and who asks."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fixture_engine import FixtureBackend

from persona_pipeline.config import LlmConfig
from persona_pipeline.extract.llm.client import LlmClient
from persona_pipeline.extract.llm.response_cache import ResponseCache
from persona_pipeline.warehouse import Warehouse

AS_OF = date(2024, 1, 1)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "wh")


@pytest.fixture
def client(warehouse: Warehouse) -> Callable[..., LlmClient]:
    def make(backend: FixtureBackend, **settings: Any) -> LlmClient:
        return LlmClient(backend, ResponseCache(warehouse, AS_OF), LlmConfig(**settings))

    return make
