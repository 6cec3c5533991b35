"""Fit the collaborative prior by Spark on liked `reviews` and `interactions`; the result equals `Prior.fit`'s in memory."""

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.sparse import csr_array

from persona_pipeline.collaborative.prox_knn import ProxKnnConfig
from persona_pipeline.collaborative.prox_knn_spark import prox_knn_neighbours
from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.interactions import liked_sql
from persona_pipeline.encoder.cf_prior import DECIMALS, Prior


def spark_prior(rows: DataFrame, min_liked_rating: float, config: EncodersConfig) -> Prior:
    """Fit ProxKNN on rows of `aggregate.met`, one of each user and item.

    The driver gets the ids of the items and `prior_neighbours` similarities of each, which the artefact holds too; data
    that grows with the interactions stays in Spark.
    """
    liked = rows.where(liked_sql(str(float(min_liked_rating))))
    ids = np.sort(_column(liked.select("item_id").distinct().toArrow(), "item_id").astype(str))
    if not len(ids):
        return Prior.none()
    numbers = pa.table({"item_id": pa.array(ids, pa.string()), "item": pa.array(range(len(ids)), pa.int32())})
    met = liked.join(rows.sparkSession.createDataFrame(numbers), "item_id").select(
        "user_id",
        "item",
        F.struct("occurred_at", "source_file", "source_line", "interaction_id").alias("place"),
        F.floor(F.unix_seconds("occurred_at") / 86_400).alias("day"),
        F.col("weight").alias("strength"),
    )
    settings = ProxKnnConfig(age_half_life_days=config.age_half_life_days or None)
    found = prox_knn_neighbours(met, settings, config.prior_neighbours, DECIMALS).toArrow()
    places = (_column(found, "item"), _column(found, "neighbour"))
    kept = csr_array((_column(found, "similarity"), places), shape=(len(ids), len(ids)))
    return Prior.scaled(ids, kept)


def _column(rows: pa.Table, name: str) -> np.ndarray:
    values: np.ndarray = rows[name].to_numpy(zero_copy_only=False)
    return values
