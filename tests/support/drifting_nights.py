"""The drifting shop, built once and copied for each test that writes to it."""

import shutil
from pathlib import Path

import pytest
from drifting import FIRST, RECENT, build, night, publish

from persona_pipeline.warehouse import Warehouse


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Before any night; not to be written to."""
    return build(tmp_path_factory.mktemp("drifting") / "warehouse")


@pytest.fixture(scope="session")
def _after_first(shop: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    warehouse = Warehouse(shutil.copytree(shop.root, tmp_path_factory.mktemp("first") / "warehouse"))
    publish(warehouse, FIRST, night(warehouse, FIRST, RECENT)["encoder_id"])
    return warehouse.root


@pytest.fixture
def warehouse(_after_first: Path, tmp_path: Path) -> Warehouse:
    """After a published night whose encoder weighs history by recency."""
    return Warehouse(shutil.copytree(_after_first, tmp_path / "warehouse"))
