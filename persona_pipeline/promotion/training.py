"""A night that trains, to its encoder: the settings the gate lets through, the base they ask for, a head over it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial

from persona_pipeline.config import PipelineConfig
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.embedding import embed_everything
from persona_pipeline.encoder.night_prior import night_prior
from persona_pipeline.encoder.prior import liked_interactions
from persona_pipeline.encoder.retraining import TrainingData, training_data
from persona_pipeline.errors import PipelineError
from persona_pipeline.promotion.decision import Settled, Standing, settle
from persona_pipeline.provenance import reviews_digest
from persona_pipeline.text_embeddings import Embedder
from persona_pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Trained:
    """An encoder, why it has the settings it has, figures of its training, and how many pairs it was trained on."""

    encoder: Encoder
    settled: Settled
    metrics: dict[str, float]
    pair_count: int


def train(
    warehouse: Warehouse,
    config: PipelineConfig,
    stands: Standing,
    embedder: Embedder,
    reason: str,
    encoder_id: str,
    versions: Mapping[str, int],
) -> Trained:
    """Train. Refused settings leave the base as it is: a head is fitted over the one that stands.

    Args:
        stands: what the night starts from.
        embedder: by which the night's texts are embedded.
        reason: why it trains.
        versions: of the tables it is trained on.

    Raises PipelineError where there are too few pairs or a fine-tune fails, TransientError where that was killed.
    """
    liked = config.training_pairs.min_liked_rating
    data = training_data(warehouse, embedder.base_model, liked)
    # All of them are read only where somebody asks: Spark reads the table itself.
    interactions = cache(partial(liked_interactions, warehouse, liked))
    if data.pairs.num_rows < 2:
        raise PipelineError(
            f"only {data.pairs.num_rows} training pairs: too few to train on. A pair is a user's liked review of an item "
            "beside other liked ones; look at the tables user_histories and item_personas"
        )

    @cache
    def as_configured() -> tuple[str, TrainingData]:
        base = _configured_base(warehouse, config, versions)
        if base.base_model == embedder.base_model:
            return base.base_model, data
        embed_everything(warehouse, base, liked)
        return base.base_model, training_data(warehouse, base.base_model, liked)

    settled = settle(
        stands.row, reason, data, interactions, embedder.base_model, config.encoders, lambda: as_configured()[1]
    )
    base_model, taught = (embedder.base_model, data) if settled.verdict == "kept_settings" else as_configured()
    from persona_pipeline.encoder.fitting import fit_encoder

    prior = night_prior(warehouse, interactions, config, settled.config)
    encoder, metrics = fit_encoder(encoder_id, base_model, taught, prior, reviews_digest(warehouse), settled.config)
    return Trained(encoder, settled, metrics, taught.pairs.num_rows)


def _configured_base(warehouse: Warehouse, config: PipelineConfig, versions: Mapping[str, int]) -> Embedder:
    if config.encoders.method == "head":
        return Embedder(config.text_embeddings, warehouse)
    from persona_pipeline.encoder.finetune.tuned import tuned_base

    return tuned_base(warehouse, config, versions)
