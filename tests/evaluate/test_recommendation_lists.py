"""Lists as a night's candidates have them, and kept on disk."""

from pathlib import Path

import numpy as np
from helpers import put_all, shop

from persona_pipeline.evaluate.recommendation_lists import load, recommended, save
from persona_pipeline.evaluate.results import Evaluated
from persona_pipeline.warehouse import Warehouse

ITEMS = np.array(["capo", "picks", "strap", "strings", "tuner"])


def test_lists_are_places_in_the_catalogue_and_short_ones_are_padded(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    put_all(warehouse, shop())
    found = recommended(warehouse, np.array(["ana", "dan"]), ITEMS, 3)
    assert found.tolist() == [[0, 1, -1], [2, 0, -1]]
    assert recommended(warehouse, np.array(["dan"]), ITEMS, 1).tolist() == [[2]]


def test_who_has_no_list_gets_the_default_one_less_what_they_reviewed(tmp_path: Path) -> None:
    warehouse, tables = Warehouse(tmp_path), shop()  # everyone's list is strap, tuner
    tables["user_item_topk"] = [row for row in tables["user_item_topk"] if row["user_id"] == "dan"]
    put_all(warehouse, tables)
    found = recommended(warehouse, np.array(["ben", "dan", "eve"]), ITEMS, 2)
    assert found.tolist() == [[4, -1], [2, 0], [2, 4]]


def test_a_kept_run_is_the_same_run(tmp_path: Path) -> None:
    run = Evaluated("ease", 2, {"l2": 300.0, "age": None}, np.array([[3, 1, -1], [0, 2, 4]]))
    save(tmp_path / "lists" / "ease.parquet", run)
    found = load(tmp_path / "lists" / "ease.parquet")
    assert found is not None
    assert (found.model, found.seed, found.settings) == ("ease", 2, {"l2": 300.0, "age": None})
    np.testing.assert_array_equal(found.ranked, run.ranked)
    assert load(tmp_path / "lists" / "other.parquet") is None
