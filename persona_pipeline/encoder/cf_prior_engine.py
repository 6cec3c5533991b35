"""The prior a night's encoder gets, by the engine its configuration names."""

from collections.abc import Callable

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig, PipelineConfig
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.warehouse import Warehouse


def fit_prior(
    warehouse: Warehouse, interactions: Callable[[], Interactions], config: PipelineConfig, settings: EncodersConfig
) -> Prior:
    """Fitted on the warehouse's liked reviews; Spark starts only where it is to compute something.

    Args:
        interactions: reads `liked_interactions` of the warehouse; not called where Spark reads them itself.
        config: the night's; where Spark runs, and what is liked.
        settings: those the encoder is trained under.
    """
    if settings.prior == "none":
        return Prior.none()
    if settings.prior != "prox_knn" or settings.prior_engine == "memory":
        return Prior.fit(interactions(), settings)
    from persona_pipeline.encoder.cf_prior_spark import spark_prior
    from persona_pipeline.spark.session import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    tables = SparkWarehouse(session(config.spark, "encoders"), warehouse)
    return spark_prior(tables.read("reviews"), config.training_pairs.min_liked_rating, settings)
