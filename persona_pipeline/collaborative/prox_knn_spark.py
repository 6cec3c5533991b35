"""Fit ProxKNN by Spark, with the similarities of `prox_knn`, where pairs of items outgrow one machine.

Sums are over integers, so that they do not depend on how the shuffle delivered their parts: the same interactions make
the same similarities, whatever the cluster.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from persona_pipeline.collaborative.prox_knn import ProxKnnConfig, reach

_ONE = 2.0**40
"""What a weight of one is summed as. Eight million of them fit into a long; more end in an error, never in a wrong sum."""


def prox_knn_neighbours(met: DataFrame, config: ProxKnnConfig, most: int, decimals: int) -> DataFrame:
    """Find the most similar items of each item: columns item, neighbour and similarity, similarity above zero.

    One shuffle by user, then every interaction is paired with the `reach(config)` that follow it in its user's history
    (50 by default): at most 50 pairs per interaction however long a history is, so one user with very many costs no
    more than as many users with few. Pairs are pre-aggregated where they arise, then shuffled by pair of items. At most
    `most` rows per item are kept.

    Args:
        met: one row per user and item: user_id, item (int), place (sort key of a user's interactions; any type Spark sorts),
            day (number) and strength (above 0, at most 1).
        most: neighbours per item; lower items first among equals.
        decimals: to which similarities are rounded before they are compared.
    """
    weighed = met.withColumn("weight", F.col("strength") * _age_weight(met, config.age_half_life_days))
    lengths = weighed.groupBy("item").agg(F.sqrt(_added(F.col("weight") * F.col("weight"))).alias("length"))
    following = Window.partitionBy("user_id").orderBy("place").rowsBetween(1, reach(config))
    later = F.collect_list(F.struct(F.col("item").alias("other"), F.col("weight").alias("others")))
    listed = weighed.select("item", "weight", later.over(following).alias("all_later"))
    paired = listed.select("item", "weight", F.posexplode("all_later").alias("between", "later"))
    proximity = F.pow(F.lit(0.5), F.col("between") / config.distance_half_life)
    together = (
        paired.select(
            F.least("item", "later.other").alias("low"),
            F.greatest("item", "later.other").alias("high"),
            (proximity * (F.col("weight") * F.col("later.others"))).alias("near"),
        )
        .groupBy("low", "high")
        .agg(_added(F.col("near")).alias("near"))
        .join(lengths.select(F.col("item").alias("low"), F.col("length").alias("low_length")), "low")
        .join(lengths.select(F.col("item").alias("high"), F.col("length").alias("high_length")), "high")
    )
    similarity = F.col("near") / (F.col("low_length") * F.col("high_length") + config.shrinkage)
    both_ways = F.array(_neighbour("low", "high"), _neighbour("high", "low"))
    nearest = Window.partitionBy("item").orderBy(F.desc("similarity"), "neighbour")
    return (
        together.select(F.round(similarity, decimals).alias("similarity"), F.explode(both_ways).alias("way"))
        .where("similarity > 0")
        .select("way.item", "way.neighbour", "similarity")
        .withColumn("nearness", F.row_number().over(nearest))
        .where(F.col("nearness") <= most)
        .drop("nearness")
    )


def _age_weight(met: DataFrame, half_life_days: float | None) -> Column:
    """Time-decay weight, as `Interactions.age_weights`."""
    if half_life_days is None:
        return F.lit(1.0)
    newest = met.agg(F.max("day")).collect()[0][0]
    return F.pow(F.lit(0.5), (F.lit(newest) - F.col("day")) / half_life_days)


def _added(weights: Column) -> Column:
    return F.sum(F.round(weights * _ONE).cast("long")) / _ONE


def _neighbour(item: str, neighbour: str) -> Column:
    return F.struct(F.col(item).alias("item"), F.col(neighbour).alias("neighbour"))
