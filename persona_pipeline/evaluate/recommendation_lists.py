"""Read test users' ranked lists from a night's staged `user_item_topk` and `default_topk`, and cache lists of models on disk."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.evaluate.results import Evaluated
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.warehouse import Warehouse


def recommended(warehouse: Warehouse, user_ids: np.ndarray, item_ids: np.ndarray, k: int) -> np.ndarray:
    """Read the night's recommendations, (users, k) int64 indices in `item_ids`, best first, -1 where a list is short.

    A user without rows in the staged `user_item_topk` gets `default_topk` less the items they reviewed, as a shop
    would show it.

    Args:
        warehouse: of a night that has its staged tables.
        user_ids, item_ids: (users,) and (items,) str, sorted; `item_ids` holds every item recommended.
    """
    own = staged_tables(warehouse).query(
        "SELECT user_id, item_id, rank FROM user_item_topk WHERE user_id IN (SELECT user_id FROM wanted)",
        ["user_item_topk"],
        wanted=pa.table({"user_id": user_ids.tolist()}),
    )
    usual = staged_tables(warehouse).query(
        "SELECT user_id, item_id, row_number() OVER (PARTITION BY user_id ORDER BY rank) AS rank FROM "
        "(SELECT user_id, item_id, rank FROM wanted, default_topk) ANTI JOIN met USING (user_id, item_id)",
        ["default_topk"],
        wanted=pa.table({"user_id": np.setdiff1d(user_ids, _texts(own["user_id"])).astype(object)}),
        met=warehouse.query("SELECT user_id, item_id FROM reviews", ["reviews"]),
    )
    lists = np.full((len(user_ids), k), -1, dtype=np.int64)
    for found in (own, usual):
        places = found["rank"].to_numpy() - 1
        kept = places < k
        users = np.searchsorted(user_ids, _texts(found["user_id"]))[kept]
        lists[users, places[kept]] = np.searchsorted(item_ids, _texts(found["item_id"]))[kept]
    return lists


def save(path: Path, run: Evaluated) -> None:
    """Write a model's lists atomically."""
    users, k = run.ranked.shape
    about = {"model": run.model, "seed": run.seed, "settings": dict(run.settings)}
    column = pa.FixedSizeListArray.from_arrays(pa.array(run.ranked.reshape(-1)), k)
    rows = pa.table({"ranked": column}).replace_schema_metadata({"run": json.dumps(about, sort_keys=True)})
    assert rows.num_rows == users
    with atomic_file(path) as partial:
        pq.write_table(rows, partial)


def load(path: Path) -> Evaluated | None:
    """Read lists written by `save`, or None."""
    if not path.is_file():
        return None
    rows = pq.read_table(path)
    about = json.loads(rows.schema.metadata[b"run"])
    column = rows["ranked"].combine_chunks()
    ranked = column.flatten().to_numpy().reshape(rows.num_rows, column.type.list_size)
    return Evaluated(about["model"], about["seed"], about["settings"], ranked)


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    texts: np.ndarray = column.to_numpy(zero_copy_only=False).astype(str)
    return texts
