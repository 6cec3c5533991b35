"""The shop's night, written once and copied for each test."""

import shutil
from pathlib import Path

import pytest
import served
from helpers import put_all, shop

from persona_pipeline.warehouse import Warehouse


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse up to its candidates."""
    root = tmp_path_factory.mktemp("night")
    put_all(Warehouse(root), shop())
    return root


@pytest.fixture
def warehouse(built: Path, tmp_path: Path) -> Warehouse:
    """Everything up to the candidates; nothing published. Its folder has a name that is encoded in a URI."""
    return Warehouse(shutil.copytree(built, tmp_path / "our wärehouse #1, 50% full"))


@pytest.fixture(scope="session")
def shop_served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with vectors, lists and a release; only read."""
    made = served.encoder()
    return served.serve(tmp_path_factory.mktemp("served"), served.tables(made), made).root
