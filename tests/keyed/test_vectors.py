"""What an encoder's stages write is the same whatever the buckets, and whoever runs them."""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from embedded import REVIEWS_ALONE, StandIn, by_value
from helpers import BASE_MODEL, put_all, shop

from persona_pipeline.config import KeyedConfig
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.embed_texts import embed_everything
from persona_pipeline.encoder.user_and_persona_vectors import persona_vectors, user_vectors
from persona_pipeline.keyed import Keyed, keyed_work
from persona_pipeline.keyed.engines import Engine
from persona_pipeline.keyed.task import SCRATCH
from persona_pipeline.warehouse import Warehouse

ENCODER = Encoder("enc1", BASE_MODEL, "2", np.eye(16), np.roll(np.eye(16), 1, 0), {}, Prior.none(), REVIEWS_ALONE, "d")
MADE = ("text_embeddings", "persona_vectors", "user_vectors")


def night(warehouse: Warehouse, bucket_bytes: int, engine: Engine | None = None) -> dict[str, Any]:
    def stage(work: Callable[[Keyed], Any]) -> Any:
        with keyed_work(warehouse, KeyedConfig(bucket_bytes=bucket_bytes), "vectors", engine) as keyed:
            return work(keyed)

    texts = stage(lambda keyed: embed_everything(keyed, StandIn(warehouse), 4.0, REVIEWS_ALONE))
    personas = stage(lambda keyed: persona_vectors(keyed, ENCODER))
    users = stage(lambda keyed: user_vectors(keyed, ENCODER, 4.0))
    assert not list((warehouse.root / SCRATCH).iterdir())
    written = [(found.written.inserted, found.written.updated, found.written.deleted) for found in (personas, users)]
    return {"texts": texts, "personas": personas[1:], "users": users[1:], "rows": written}


def later(warehouse: Warehouse) -> None:
    """A second night: one reviewer gone, an item's personas other ones, another item new."""
    tables = shop()
    tables["user_histories"] = [row for row in tables["user_histories"] if row["user_id"] != "ben"]
    for row in tables["item_personas"]:
        if row["item_id"] == "strap":
            row["description"] += " Always."
    put_all(warehouse, {table: tables[table] for table in ("user_histories", "item_personas")})


def rows(warehouse: Warehouse) -> dict[str, pa.Table]:
    return {table: warehouse.read(table) for table in MADE}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two nights in one bucket each."""
    root = tmp_path_factory.mktemp("whole")
    tables = shop()
    put_all(Warehouse(root / "given"), {table: tables[table] for table in tables if table not in MADE})
    copytree(root / "given", root / "made")
    made = Warehouse(root / "made")
    assert night(made, 2**30)["texts"]["embedded"] == 21
    later(made)
    assert night(made, 2**30)["rows"] == [(0, 2, 0), (0, 0, 1)]
    return root


@pytest.mark.parametrize("bucket_bytes", [40_000, 4_000, 400])
def test_buckets_of_any_size_make_the_same_tables(whole: Path, tmp_path: Path, bucket_bytes: int) -> None:
    _two_nights(whole, tmp_path, bucket_bytes)


def test_sparks_executors_make_the_same_tables(whole: Path, tmp_path: Path, spark: Any) -> None:
    from persona_pipeline.keyed.on_spark import OnSpark

    by_value()
    _two_nights(whole, tmp_path, 4_000, OnSpark(spark, 2**30))


def _two_nights(whole: Path, tmp_path: Path, bucket_bytes: int, engine: Engine | None = None) -> None:
    copytree(whole / "given", tmp_path / "made")
    made, expected = Warehouse(tmp_path / "made"), Warehouse(whole / "made")
    assert night(made, bucket_bytes, engine)["texts"] == {"texts": 21, "embedded": 21, "new_profiles": 5}
    _assert_ranges(made, 2 if bucket_bytes <= 4_000 else 1)
    versions = made.versions()
    again = night(made, bucket_bytes, engine)
    assert again == {
        "texts": {"texts": 21, "embedded": 0, "new_profiles": 0},
        "personas": (6, 0),
        "users": (4, 0),
        "rows": [(0, 0, 0), (0, 0, 0)],
    }
    assert made.versions() == versions
    later(made)
    assert night(made, bucket_bytes, engine)["rows"] == [(0, 2, 0), (0, 0, 1)]
    for table in MADE:
        _assert_alike(made.read(table), expected.read(table))


def _assert_ranges(made: Warehouse, least: int) -> None:
    """A bucket's file holds a range of users, by which readers tell which file to open."""
    users = [pq.read_table(file, columns=["user_id"])["user_id"].to_pylist() for file in made.files("user_vectors")]
    assert [user for file in sorted(users) for user in file] == sorted(user for file in users for user in file)
    assert len(users) >= least


def _assert_alike(found: pa.Table, expected: pa.Table) -> None:
    """Equal but for the last bits of vectors: a matrix product may round them another way for another number of rows."""
    assert found.drop_columns(["vector"]).equals(expected.drop_columns(["vector"]))
    vectors, wanted = (np.array(rows["vector"].to_pylist()) for rows in (found, expected))
    np.testing.assert_allclose(vectors, wanted, atol=1e-6)
