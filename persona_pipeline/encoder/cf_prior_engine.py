"""Fit the collaborative prior of an encoder by the configured engine: in memory or by Spark."""

from collections.abc import Callable

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig, PipelineConfig
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.warehouse import Warehouse


def fit_prior(
    warehouse: Warehouse, interactions: Callable[[], Interactions], config: PipelineConfig, settings: EncodersConfig
) -> Prior:
    """Fit the prior on what the warehouse's users liked; Spark starts only where it has something to compute.

    Args:
        interactions: reads `liked_interactions` of the warehouse; not called where Spark reads them itself.
        config: the run's; where Spark runs, and which rating counts as liked.
        settings: those the encoder is trained under.
    """
    if settings.prior == "none":
        return Prior.none()
    if settings.prior != "prox_knn" or settings.prior_engine == "memory":
        return Prior.fit(interactions(), settings)
    from persona_pipeline.aggregate import met
    from persona_pipeline.encoder.cf_prior_spark import spark_prior
    from persona_pipeline.spark.session import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    tables = SparkWarehouse(session(config.spark, "encoders"), warehouse)
    rows = met(tables.read("reviews"), tables.read("interactions"))
    return spark_prior(rows, config.training_pairs.min_liked_rating, settings)
