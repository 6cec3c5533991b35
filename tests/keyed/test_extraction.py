"""What the embedded extractor's stages write is the same whatever the buckets, and whoever runs them."""

from datetime import date, timedelta
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from embedded import StandIn, by_value
from helpers import AS_OF, put_all, shop

from persona_pipeline.config import ExtractionConfig, KeyedConfig
from persona_pipeline.extract import by_key
from persona_pipeline.extract.by_key import Extractors
from persona_pipeline.extract.embedded.shop import read_shop
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.keyed import keyed_work
from persona_pipeline.keyed.engines import Engine
from persona_pipeline.warehouse import Warehouse

STAGES = ("review_aspects", "item_summaries", "item_personas")
GIVEN = ("reviews", "items", "item_reviews", "user_histories")
CONFIG = ExtractionConfig()


def night(warehouse: Warehouse, as_of: date, bucket_bytes: int, engine: Engine | None = None) -> list[dict[str, Any]]:
    """The three stages, over what the night before left."""
    parents = {table: warehouse.version(table) for table in STAGES}
    embedder = StandIn(warehouse)
    figures = []
    for stage in STAGES:
        shop_of_all = read_shop(warehouse) if stage == "item_personas" else None
        make = partial(make_extractor, CONFIG, embedder, warehouse, as_of, shop=shop_of_all)
        here = None if engine else make()
        with keyed_work(warehouse, KeyedConfig(bucket_bytes=bucket_bytes), stage, engine) as keyed:
            extractors = Extractors(make, embedder, here)
            if stage == "review_aspects":
                done = by_key.review_aspects(keyed, extractors)
            elif stage == "item_summaries":
                done = by_key.item_summaries(keyed, extractors, parents[stage])
            else:
                done = by_key.item_personas(keyed, extractors, CONFIG, parents[stage], as_of)
        found = done.as_dict()
        found["written"] = [(w["table"], w["inserted"], w["updated"], w["deleted"]) for w in found["written"]]
        figures.append(found)
    return figures


def later(warehouse: Warehouse) -> None:
    """A second night: an item gone, another with other words, a user who has met less."""
    tables = {table: rows for table, rows in shop().items() if table in GIVEN}
    for rows in (tables["items"], tables["item_reviews"], tables["reviews"]):
        rows[:] = [row for row in rows if row["item_id"] != "capo"]
    for rows in (tables["reviews"], tables["item_reviews"]):
        for row in rows:
            if row["item_id"] == "strap":
                for review in row.get("evidence", [row]):
                    review["text"] += " The buckle is strong and looks great."
    tables["user_histories"] = tables["user_histories"][1:]
    put_all(warehouse, tables)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """Two nights in one bucket each, and their figures."""
    root = tmp_path_factory.mktemp("whole")
    tables = shop()
    put_all(Warehouse(root / "given"), {table: tables[table] for table in GIVEN})
    copytree(root / "given", root / "made")
    return root, _two_nights(root / "made", 2**30)


def _two_nights(root: Path, bucket_bytes: int, engine: Engine | None = None) -> list[Any]:
    made = Warehouse(root)
    first = night(made, AS_OF, bucket_bytes, engine)
    versions = made.versions()
    again = night(made, AS_OF, bucket_bytes, engine)
    assert [stage["extracted"] for stage in again] == [0, 0, 0]
    assert made.versions() == versions
    later(made)
    return [first, night(made, AS_OF + timedelta(1), bucket_bytes, engine)]


def test_a_night_changes_what_changed(whole: tuple[Path, list[Any]]) -> None:
    root, (first, second) = whole
    assert [stage["extracted"] for stage in first] == [10, 5, 5]
    assert [stage["extracted"] for stage in second] == [2, 0, 1]
    personas = Warehouse(root / "made").read("item_personas")
    assert "retired" in personas["status"].to_pylist()


@pytest.mark.parametrize("bucket_bytes", [60_000, 4_000])
def test_buckets_of_any_size_make_the_same_tables(
    whole: tuple[Path, list[Any]], tmp_path: Path, bucket_bytes: int
) -> None:
    _assert_same(whole, tmp_path, bucket_bytes)


def test_sparks_executors_make_the_same_tables(whole: tuple[Path, list[Any]], tmp_path: Path, spark: Any) -> None:
    from persona_pipeline.keyed.on_spark import OnSpark

    by_value()
    _assert_same(whole, tmp_path, 20_000, OnSpark(spark, 2**30))


def _assert_same(
    whole: tuple[Path, list[Any]], tmp_path: Path, bucket_bytes: int, engine: Engine | None = None
) -> None:
    root, figures = whole
    copytree(root / "given", tmp_path / "made")
    assert _two_nights(tmp_path / "made", bucket_bytes, engine) == figures
    for table in (*STAGES, "quarantine"):
        assert Warehouse(tmp_path / "made").read(table).equals(Warehouse(root / "made").read(table)), table
