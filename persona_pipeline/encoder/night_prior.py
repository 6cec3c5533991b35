"""The prior a night's encoder gets, by the engine its configuration names."""

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig, PipelineConfig
from persona_pipeline.encoder.prior import Prior
from persona_pipeline.warehouse import Warehouse


def night_prior(
    warehouse: Warehouse, interactions: Interactions, config: PipelineConfig, settings: EncodersConfig
) -> Prior:
    """Fitted on the warehouse's liked reviews; Spark starts only where it is to compute something.

    Args:
        interactions: `liked_interactions` of the warehouse.
        config: the night's; where Spark runs, and what is liked.
        settings: those the encoder is trained under.
    """
    if settings.prior != "prox_knn" or settings.prior_engine == "memory":
        return Prior.fit(interactions, settings)
    from persona_pipeline.encoder.prior_spark import spark_prior
    from persona_pipeline.spark import session
    from persona_pipeline.warehouse.spark_tables import SparkWarehouse

    tables = SparkWarehouse(session(config.spark, "encoders"), warehouse)
    return spark_prior(tables.read("reviews"), config.training_pairs.min_liked_rating, settings)
