"""The nights of a backtest as arrays, on a shop small enough to check by eye."""

from pathlib import Path

import pyarrow as pa
from helpers import put, shop

from persona_pipeline.evaluate.dataset import make_dataset
from persona_pipeline.evaluate.splits import leave_last_out
from persona_pipeline.warehouse import Warehouse


def night(root: Path, withheld: pa.Table | None = None) -> Warehouse:
    warehouse, tables = Warehouse(root), shop()
    gone = set(withheld["interaction_id"].to_pylist()) if withheld else set()
    put(warehouse, "items", tables["items"])
    put(warehouse, "reviews", [row for row in tables["reviews"] if row["review_id"] not in gone])
    return warehouse


def test_users_items_and_answers_are_places_in_sorted_names(tmp_path: Path) -> None:
    everything = night(tmp_path / "all")
    split = leave_last_out(everything)
    tuning, test = night(tmp_path / "tuning", split.tuning()), night(tmp_path / "test", split.test)
    dataset = make_dataset(everything, tuning, test, split.validation, split.test)
    assert dataset.item_ids.tolist() == ["capo", "picks", "strap", "strings", "tuner"]
    assert dataset.user_ids.tolist() == ["ana", "ben", "cleo", "dan"]
    assert dataset.users.tolist() == [0, 1, 2, 3]
    assert dataset.truth.items.tolist() == [3, 0, 0, 3]  # strings, capo, capo, strings
    rows, items = dataset.validation
    assert [(dataset.tuning.user_ids[u], dataset.item_ids[i]) for u, i in zip(rows, items, strict=True)] == [
        ("ana", "tuner"), ("ben", "picks"),
    ]  # fmt: skip
    assert (len(dataset.tuning), len(dataset.test)) == (4, 6)
    assert dataset.tuning.item_ids.tolist() == dataset.item_ids.tolist()  # though nobody met the strings there
    assert sorted(dataset.slices()["all"].users.tolist()) == [True] * 4
