"""The shop with its texts embedded and an encoder over them, built once and copied for each test."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from embedded import keyed_by
from fixture_engine import WordCounts
from helpers import put, put_all, shop
from scipy.sparse import csr_array

from persona_pipeline.config import EncodersConfig, TextEmbeddingsConfig
from persona_pipeline.embeddings import cache
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.embed_texts import embed_everything
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.warehouse import Warehouse

LIKED = {"capo": 2, "strap": 2, "strings": 2, "tuner": 2, "picks": 1}


@pytest.fixture(autouse=True)
def _base_model() -> Iterator[None]:
    """Words counted stand in for the base model: no test here waits for a real one."""
    with _words_counted():
        yield


@contextmanager
def _words_counted() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "TextModel", WordCounts)
        yield


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table up to the candidates; not to be written to."""
    warehouse = Warehouse(tmp_path_factory.mktemp("shop") / "warehouse")
    tables = shop()
    del tables["text_embeddings"]
    put_all(warehouse, tables)
    embedder, config = Embedder(TextEmbeddingsConfig(), warehouse), EncodersConfig()
    with _words_counted(), keyed_by(warehouse) as keyed:
        embed_everything(keyed, embedder, 4.0, config)
    same = np.eye(WordCounts.dimensions, dtype=np.float32)
    prior = Prior(np.array(sorted(LIKED)), csr_array((len(LIKED), len(LIKED))))
    made = Encoder("enc1", embedder.base_model, TEXT_VERSION, same, same, LIKED, prior, config, "digest")
    made.save(warehouse.root / "_artefacts" / "encoders" / "enc1")
    told = {"base_model": embedder.base_model, "text_version": TEXT_VERSION, "dimensions": WordCounts.dimensions}
    put(warehouse, "encoders", [{**row, **told} for row in tables["encoders"]])
    return warehouse.root


@pytest.fixture
def warehouse(built: Path, tmp_path: Path) -> Warehouse:
    """A copy that a test may write to."""
    return Warehouse(shutil.copytree(built, tmp_path / "warehouse"))
