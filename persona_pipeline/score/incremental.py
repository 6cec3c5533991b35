"""Reuse the parent release's `user_item_topk` under the same encoder: rank only changed users and changed items anew (Spark).

A user whose history changed is ranked in full. Every other user keeps the parent's rows of unchanged items, and is
ranked against the changed items alone; the union is the exact top k as long as its k-th score is not below the parent's
last row, since no item outside the parent's list scores higher than that. Users for whom this does not hold are ranked
in full.

An item that may be recommended again is a changed item, and so is one that may not be any more: it is in one of the two states
alone. Where creators or categories matter, an item of another one is changed too; who blocks something else is a changed user.

Where a list holds at most some items of a group, an item that comes or goes may let in another that a full group kept out.
Then the parent's rows are kept as they are, of users who lost none of them and whose last row no changed item reaches;
all other users are ranked in full.

Cost: (changed users + doubtful users) x personas + other users x changed personas, and one pass over the parent's rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from persona_pipeline.config import PipelineConfig, UserItemTopkConfig
from persona_pipeline.publish.drift_limits import changed_settings
from persona_pipeline.publish.releases import Release, configured
from persona_pipeline.score.eligible import TELLING, EligibleItems
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.score.recommend import limit_columns, ranked_users, ranking_users
from persona_pipeline.warehouse.spark_tables import SparkWarehouse

_CLOSE = 1e-6
"""Scores nearer than this are not told apart: a stored score is a sum of rounded shares."""

_RANKED = ("user_id", "rank", "item_id", "persona_id", "score", "contributions")


@dataclass(frozen=True, slots=True)
class ParentRanking:
    """Tables of the parent release, made with the same encoder and the same settings of `user_item_topk` as the run.

    Attributes:
        rows: `user_item_topk`.
        users, histories: as in `ranked_users`.
        changed_items: (n,) ids of items whose personas changed since the parent, or that may be recommended in one state alone.
    """

    rows: DataFrame
    users: DataFrame
    histories: DataFrame
    changed_items: np.ndarray


def reusable_ranking(
    tables: SparkWarehouse, parent: Release | None, config: PipelineConfig, encoder_id: str, eligible: EligibleItems
) -> tuple[ParentRanking | None, str]:
    """Return the parent release's ranking where it can be reused; else None and the reason why all users are ranked in full.

    `eligible` are the run's items, with their personas by its encoder.
    """
    ranking = config.user_item_topk
    if parent is None or parent.encoder_id != encoder_id:
        return None, "there is no run before" if parent is None else "the run before had another encoder"
    if ranking.max_changed_share == 0:
        return None, "max_changed_share is 0"
    changed = changed_settings(configured(tables.files, parent), config.model_dump(mode="json"))
    if any(one.setting.startswith("user_item_topk.") for one in changed):
        return None, "the settings of user_item_topk changed"
    found = parent_ranking(tables, parent.versions, encoder_id, eligible, ranking)
    share = len(found.changed_items) / max(len(pc.unique(eligible.personas["item_id"])), 1)
    return (found, "") if share <= ranking.max_changed_share else (None, f"{share:.0%} of the items changed")


def parent_ranking(
    tables: SparkWarehouse,
    versions: Mapping[str, int],
    encoder_id: str,
    eligible: EligibleItems,
    config: UserItemTopkConfig,
) -> ParentRanking:
    """Read a release's tables at its versions, and compare its eligible items with the run's."""
    then = EligibleItems.of(tables.files, encoder_id, config, eligible.blocked, TELLING, versions)
    changed = changed_items(eligible.telling(config), then.telling(config))
    rows = tables.read("user_item_topk", versions["user_item_topk"])
    return ParentRanking(rows, *ranking_users(tables, encoder_id, config, versions), changed)


def changed_items(tonight: pa.Table, before: pa.Table) -> np.ndarray:
    """Return the sorted ids of items that differ between two states, or are in one only, as `EligibleItems.telling` says them."""
    both = pa.concat_tables([tonight, before.select(tonight.column_names)])
    counted = both.group_by(tonight.column_names, use_threads=False).aggregate([([], "count_all")])
    once = counted.filter(pc.equal(counted["count_all"], 1))
    items: np.ndarray = np.unique(once["item_id"].to_numpy(zero_copy_only=False).astype(str))
    return items


def ranked_changes(
    users: DataFrame,
    histories: DataFrame,
    profiles: DataFrame,
    ranking: RankingInputs,
    before: ParentRanking,
    changed_ranking: RankingInputs | None,
) -> tuple[DataFrame, dict[str, int]]:
    """Rank as `ranked_users` does, reusing the parent's rows; also count users ranked in full, by reason.

    Args:
        users, histories, profiles, ranking: as in `ranked_users`.
        before: the parent's ranking.
        changed_ranking: inputs restricted to the changed items that have personas in this run; None where no changed item has.
    """
    spark = users.sparkSession
    same = _unchanged(users, histories, before).persist(StorageLevel.MEMORY_AND_DISK)
    gone = F.broadcast(spark.createDataFrame([(item,) for item in before.changed_items.tolist()], "item_id string"))
    listed = before.rows.join(same, "user_id", "left_semi").select(*_RANKED)
    theirs = users.join(same, "user_id", "left_semi")
    if ranking.capped:
        reached = None
        if changed_ranking is not None:
            reached = ranked_users(theirs, histories, profiles, replace(changed_ranking, k=1))
        doubtful = _doubtful_under_caps(listed, gone, reached, ranking.k).persist(StorageLevel.MEMORY_AND_DISK)
        merged = listed
    else:
        merged, doubtful = _merged(listed, gone, changed_ranking, (theirs, histories, profiles), ranking.k)
    again = users.join(same, "user_id", "left_anti").select("user_id").unionByName(doubtful)
    in_full = ranked_users(users.join(again, "user_id", "left_semi"), histories, profiles, ranking)
    settled = merged.where(F.col("rank") <= ranking.k).join(doubtful, "user_id", "left_anti")
    total, unchanged, unsure = users.count(), same.count(), doubtful.count()
    figures = {"changed_users": total - unchanged, "doubtful_users": unsure, "changed_items": len(before.changed_items)}
    return settled.select(*_RANKED).unionByName(in_full.select(*_RANKED)), figures


def _merged(
    listed: DataFrame,
    gone: DataFrame,
    changed_ranking: RankingInputs | None,
    inputs: tuple[DataFrame, DataFrame, DataFrame],
    k: int,
) -> tuple[DataFrame, DataFrame]:
    """Merge what is left of the parent's lists with the changed items, best k + 1, and select who is in doubt."""
    kept = listed.join(gone, "item_id", "left_anti")
    if changed_ranking is not None:
        kept = kept.unionByName(ranked_users(*inputs, changed_ranking))
    best = Window.partitionBy("user_id").orderBy(F.desc("score"), "item_id")
    merged = kept.withColumn("rank", F.row_number().over(best)).where(F.col("rank") <= k + 1)
    merged = merged.persist(StorageLevel.MEMORY_AND_DISK)
    return merged, _doubtful(listed, merged, gone, k).persist(StorageLevel.MEMORY_AND_DISK)


def _unchanged(users: DataFrame, histories: DataFrame, before: ParentRanking) -> DataFrame:
    """Select user_id of users whose vector, items to leave out and candidates are those of the parent release."""

    def known(vectors: DataFrame, met: DataFrame) -> DataFrame:
        seen = met.select("user_id", F.sha2(F.to_json(F.struct(*limit_columns(met))), 256).alias("seen"))
        return vectors.select("user_id", "inputs_hash").join(seen, "user_id")

    tonight, then = known(users, histories), known(before.users, before.histories)
    return tonight.join(then, ["user_id", "inputs_hash", "seen"], "left_semi").select("user_id")


def _doubtful(listed: DataFrame, merged: DataFrame, gone: DataFrame, k: int) -> DataFrame:
    """Select user_id of users where an item outside the parent's list may enter the top k, or a near-tie decides."""
    then = listed.join(gone.withColumn("gone", F.lit(1)), "item_id", "left")
    then = then.groupBy("user_id").agg(
        F.count("*").alias("places"), F.count("gone").alias("lost"), F.min("score").alias("last")
    )
    now = merged.groupBy("user_id").agg(
        F.max(F.when(F.col("rank") == k, F.col("score"))).alias("kth"),
        F.max(F.when(F.col("rank") == k + 1, F.col("score"))).alias("next"),
    )
    # A list that was not full held everything there was; one that lost nothing needs nothing from outside.
    short = (
        (F.col("places") >= k) & (F.col("lost") > 0) & (F.col("kth").isNull() | (F.col("kth") < F.col("last") + _CLOSE))
    )
    tied = F.col("kth") - F.col("next") < _CLOSE
    return then.join(now, "user_id", "left").where(short | F.coalesce(tied, F.lit(False))).select("user_id")


def _doubtful_under_caps(listed: DataFrame, gone: DataFrame, reached: DataFrame | None, k: int) -> DataFrame:
    """Select user_id of users who lost an item of the parent's list, or whose best changed item may enter it.

    `reached` holds each user's best changed item. A list that is short has room for whatever fits.
    """
    then = listed.join(gone.withColumn("gone", F.lit(1)), "item_id", "left")
    then = then.groupBy("user_id").agg(
        F.count("*").alias("places"), F.count("gone").alias("lost"), F.min("score").alias("last")
    )
    lost = then.where("lost > 0").select("user_id")
    if reached is None:
        return lost
    full = (F.col("places") == k) & (F.col("score") < F.col("last") - _CLOSE)
    entering = reached.select("user_id", "score").join(then, "user_id", "left").where(~F.coalesce(full, F.lit(False)))
    return lost.union(entering.select("user_id")).distinct()
