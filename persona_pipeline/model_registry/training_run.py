"""Train a run's encoder: search settings, gate them, fine-tune the base where asked, and fit a head over it."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig, PipelineConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import liked_interactions
from persona_pipeline.encoder.cf_prior_engine import fit_prior
from persona_pipeline.encoder.embed_texts import embed_everything
from persona_pipeline.encoder.item_embeddings import ensure_profiles
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.encoder.training_data import TrainingData, training_data
from persona_pipeline.model_registry.incumbent import Incumbent
from persona_pipeline.model_registry.registry import settings_of
from persona_pipeline.model_registry.select_settings import SelectedSettings, select_settings
from persona_pipeline.model_selection.search_result import ChosenSettings
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.fingerprints import reviews_digest

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainedEncoder:
    """A trained encoder, its settings with their reasons, training metrics, and the number of training pairs."""

    encoder: Encoder
    settled: SelectedSettings
    metrics: dict[str, float]
    pair_count: int


def train_encoder(
    warehouse: Warehouse,
    config: PipelineConfig,
    incumbent: Incumbent,
    embedder: Embedder,
    reason: str,
    encoder_id: str,
    versions: Mapping[str, int],
) -> TrainedEncoder:
    """Search settings, gate them and train; refused settings leave the base as it is, and a head is fitted over the incumbent's.

    The settings left open (`encoders.tuned`) are searched first; the gate compares the result with the served settings.

    Args:
        incumbent: the encoder the run starts from.
        embedder: embeds the run's texts.
        reason: why the run trains.
        versions: of the tables it is trained on.

    Raises PipelineError where there are too few pairs or a fine-tune fails, TransientError where that was killed.
    """
    liked = config.training_pairs.min_liked_rating
    starts = _where_the_search_starts(incumbent, embedder.base_model, config.encoders)
    # The review of a held-out interaction must not be an input, neither to choose settings nor to compare them.
    blind = training_data(warehouse, embedder.base_model, liked, starts, blind=True)
    # All of them are read only where somebody asks: Spark reads the table itself.
    interactions = cache(partial(liked_interactions, warehouse, liked))
    if blind.pairs.num_rows < 2:
        raise PipelineError(
            f"only {blind.pairs.num_rows} training pairs: too few to train on. A pair is a user's liked review of an item "
            "beside other liked ones; look at the tables user_histories and item_personas"
        )
    chosen = _chosen(blind, interactions, starts)
    config = config.model_copy(update={"encoders": chosen.config if chosen else config.encoders})

    @cache
    def as_configured() -> Embedder:
        base = _configured_base(warehouse, config, versions)
        if base.base_model != embedder.base_model:
            embed_everything(warehouse, base, liked, None)
        return base

    def tuned() -> TrainingData:
        return training_data(warehouse, as_configured().base_model, liked, config.encoders, blind=True)

    settled = select_settings(incumbent.row, reason, blind, interactions, embedder.base_model, config.encoders, tuned)
    base = embedder if settled.verdict == "kept_settings" else as_configured()
    ensure_profiles(warehouse, base, settled.config)
    taught = training_data(warehouse, base.base_model, liked, settled.config)
    from persona_pipeline.encoder.fit import fit_encoder

    prior = fit_prior(warehouse, interactions, config, settled.config)
    encoder, metrics = fit_encoder(
        encoder_id, base.base_model, taught, prior, reviews_digest(warehouse), settled.config
    )
    if chosen:
        settled = replace(settled, reasons=[*settled.reasons, *chosen.reasons()])
        metrics |= chosen.metrics()
    return TrainedEncoder(encoder, settled, metrics, taught.pairs.num_rows)


def _where_the_search_starts(incumbent: Incumbent, base_model: str, config: EncodersConfig) -> EncodersConfig:
    """The configuration, with tuned settings taken from the served encoder where that could be refitted."""
    row = incumbent.row
    if not _tunes(config) or row is None or (row["base_model"], row["text_version"]) != (base_model, TEXT_VERSION):
        return config
    try:
        served = settings_of(row)
    except PipelineError:
        return config
    return config.model_copy(update={name: getattr(served, name) for name in config.tuned})


def _tunes(config: EncodersConfig) -> bool:
    """Whether a search is possible: settings are tuned and the base is not. A fine-tuned base has seen the hold-out."""
    return bool(config.tuned) and config.tuning_minutes > 0 and config.method == "head"


def _chosen(
    blind: TrainingData, interactions: Callable[[], Interactions], starts: EncodersConfig
) -> ChosenSettings | None:
    if not _tunes(starts):
        return None
    from persona_pipeline.model_selection.search import search_settings

    began = time.monotonic()
    chosen = search_settings(blind, interactions(), starts)
    logger.info("tuning took %.1f s", time.monotonic() - began)
    return chosen


def _configured_base(warehouse: Warehouse, config: PipelineConfig, versions: Mapping[str, int]) -> Embedder:
    if config.encoders.method == "head":
        return Embedder(config.text_embeddings, warehouse)
    from persona_pipeline.encoder.finetune.run import tuned_base

    return tuned_base(warehouse, config, versions)
