"""Rank users under caps against an item index that is held a block at a time (Spark).

What a full group keeps out of a list depends on items of other blocks, so no block can be ranked under caps by itself. A
pass ranks all blocks without caps, merges them, and walks on in each user's list (`caps`); users whose walk ends early come
into the next pass, which leaves out what they took and what is full.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from persona_pipeline.core.arrays import read_only
from persona_pipeline.score.caps import ASKED, full
from persona_pipeline.score.item_groups import ItemGroups
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.score.topk.walk import walk

_WALKED = "user_id string, taken array<string>, full array<string>, early boolean"


def ranked_under_caps(
    inputs: DataFrame, ranking: RankingInputs, merged: Callable[[DataFrame, RankingInputs], DataFrame]
) -> DataFrame:
    """Rank users as `ranked_users` does.

    Args:
        inputs: a row a user, with reviewed_item_ids and blocked_groups.
        ranking: inputs of all blocks, with caps.
        merged: ranks users against all blocks without caps; its rows have user_id, item_id, score and exact_score.
    """
    groups = ranking.groups
    assert groups is not None
    wide = replace(ranking, k=ASKED * ranking.k, groups=groups.without_caps())
    shared = inputs.sparkSession.sparkContext.broadcast((ranking.item_index.item_ids, groups, ranking.k))

    def steps(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield _walked(pa.Table.from_batches([batch]), *shared.value)

    nothing = F.array().cast("array<string>")
    if "blocked_groups" not in inputs.columns:
        inputs = inputs.withColumn("blocked_groups", nothing)
    todo, lists = inputs.withColumn("taken", nothing), []
    while True:
        todo = todo.persist(StorageLevel.DISK_ONLY)  # read once a block
        found = merged(todo.drop("taken"), wide).persist(StorageLevel.DISK_ONLY)
        best = found.groupBy("user_id").agg(
            F.array_sort(F.collect_list(F.struct((-F.col("exact_score")).alias("below"), "item_id"))).alias("ranked")
        )
        best = best.select("user_id", F.col("ranked.item_id").alias("ranked"))
        walked = best.join(todo.select("user_id", "taken"), "user_id").mapInArrow(steps, _WALKED)
        walked = walked.persist(StorageLevel.DISK_ONLY)
        took = walked.select("user_id", F.explode("taken").alias("item_id"))
        lists.append(found.join(took, ["user_id", "item_id"], "left_semi"))
        early = walked.where("early").withColumnRenamed("taken", "now")
        if early.isEmpty():
            break
        todo = (
            todo.join(early, "user_id")
            .withColumn("reviewed_item_ids", F.array_union("reviewed_item_ids", "now"))
            .withColumn("blocked_groups", F.array_union("blocked_groups", "full"))
            .withColumn("taken", F.col("now"))
            .drop("now", "full", "early")
        )
    rank = F.row_number().over(Window.partitionBy("user_id").orderBy(F.desc("score"), "item_id"))
    return reduce(DataFrame.unionByName, lists).withColumn("rank", rank)


def _walked(users: pa.Table, item_ids: np.ndarray, groups: ItemGroups, k: int) -> pa.RecordBatch:
    """Walk on in users' lists of `ranked` items, given those `taken` before: rows of _WALKED."""
    names = pa.array(item_ids, pa.string())
    ranked = _places(users["ranked"].combine_chunks(), names, ASKED * k)
    taken = _places(users["taken"].combine_chunks(), names, k)
    many = (taken >= 0).sum(1)
    walk(
        ranked,
        np.arange(len(ranked)),
        read_only(groups.capped),
        read_only(groups.most),
        taken,
        many,
        np.full(ranked.shape, -1),
    )
    early = (many < k) & (ranked[:, -1] >= 0)
    lists = [item_ids[mine[mine >= 0]].tolist() for mine in taken]
    shut = [
        groups.names.take(pa.array(full(groups, mine[mine >= 0]))).to_pylist() if more else []
        for mine, more in zip(taken, early, strict=True)
    ]
    return pa.RecordBatch.from_pydict(
        {
            "user_id": users["user_id"].combine_chunks(),
            "taken": pa.array(lists, pa.list_(pa.string())),
            "full": pa.array(shut, pa.list_(pa.string())),
            "early": pa.array(early),
        }
    )


def _places(lists: pa.ListArray, names: pa.StringArray, most: int) -> np.ndarray:
    """Indices of users' items, (users, most) int64, -1 behind the last."""
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    found = np.full((len(lists), most), -1, np.int64)
    found[np.arange(most) < lengths[:, None]] = pc.index_in(lists.flatten(), names).to_numpy(zero_copy_only=False)
    return found
