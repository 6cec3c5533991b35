"""Which engine a night's prior is computed by."""

from pathlib import Path

import numpy as np
import pytest
from helpers import put, reviews
from pyspark.sql import DataFrame, SparkSession

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig, PipelineConfig
from persona_pipeline.encoder import cf_prior_spark as module
from persona_pipeline.encoder.cf_prior import Prior, liked_interactions
from persona_pipeline.encoder.cf_prior_engine import fit_prior
from persona_pipeline.encoder.cf_prior_spark import spark_prior
from persona_pipeline.warehouse import Warehouse

CONFIG = PipelineConfig()


@pytest.mark.parametrize(
    ("prior", "engine", "reader"),
    [
        ("prox_knn", "memory", "memory"),
        ("ease", "spark", "memory"),
        ("none", "memory", ""),
        ("prox_knn", "spark", "spark"),
    ],
)
def test_the_engine_named_is_the_one_that_computes(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prior: str, engine: str, reader: str
) -> None:
    asked: list[EncodersConfig] = []

    def counted(reviews: DataFrame, min_liked_rating: float, config: EncodersConfig) -> Prior:
        asked.append(config)
        return spark_prior(reviews, min_liked_rating, config)

    monkeypatch.setattr(module, "spark_prior", counted)
    warehouse = Warehouse(tmp_path)
    put(warehouse, "reviews", reviews())
    settings = EncodersConfig.model_validate({"prior": prior, "prior_engine": engine})
    interactions = liked_interactions(warehouse, CONFIG.training_pairs.min_liked_rating)
    read: list[int] = []

    def in_memory() -> Interactions:
        read.append(len(interactions))
        return interactions

    found = fit_prior(warehouse, in_memory, CONFIG, settings)
    assert (bool(asked), bool(read)) == (reader == "spark", reader == "memory")
    expected = Prior.fit(interactions, settings)
    assert found.item_ids.tolist() == expected.item_ids.tolist()
    np.testing.assert_allclose(found.similarities.toarray(), expected.similarities.toarray(), atol=1e-9)
