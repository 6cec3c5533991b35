"""Train a run's encoder: search settings, gate them, fine-tune the base where asked, and fit a head over it."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, partial
from pathlib import Path

import pyarrow as pa

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig, PipelineConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import liked_interactions
from persona_pipeline.encoder.cf_prior_engine import fit_prior
from persona_pipeline.encoder.embed_texts import embed_everything
from persona_pipeline.encoder.item_embeddings import ensure_profiles
from persona_pipeline.encoder.retrain_policy import settings_digest
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.encoder.training_data import TrainingData, training_data
from persona_pipeline.keyed import keyed_work
from persona_pipeline.model_registry.incumbent import Incumbent
from persona_pipeline.model_registry.registry import settings_of
from persona_pipeline.model_registry.select_settings import SelectedSettings, select_settings
from persona_pipeline.model_selection.search_result import ChosenSettings
from persona_pipeline.warehouse import Warehouse, WriteResult
from persona_pipeline.warehouse.fingerprints import reviews_digest

logger = logging.getLogger(__name__)

ARTEFACTS = Path("_artefacts") / "encoders"
"""Where a warehouse keeps its encoders."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What a run may choose settings by and train on.

    Attributes:
        config: with the encoder's settings from which a search starts.
        blind: training data that hides each user's newest liked interaction, over `embedder`.
        interactions: all liked interactions, read when first called: where Spark fits the prior nobody calls it.
        embedder: of the incumbent's base.
    """

    config: PipelineConfig
    blind: TrainingData
    interactions: Callable[[], Interactions]
    embedder: Embedder


@dataclass(frozen=True, slots=True)
class TrainingChoice:
    """Settings and base to train with.

    Attributes:
        selected: the settings, and why.
        embedder: of the base to train over.
        metrics: of the search, where there was one.
    """

    selected: SelectedSettings
    embedder: Embedder
    metrics: dict[str, float]


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
    """Train a run's encoder in steps: the training set, the choice of settings and base, the fit.

    Args:
        incumbent: the encoder the run starts from.
        embedder: embeds the run's texts.
        reason: why the run trains.
        versions: of the tables it is trained on.

    Raises PipelineError where there are too few pairs or a fine-tune fails, TransientError where that was killed.
    """
    examples = gather_training_set(warehouse, config, incumbent, embedder)
    choice = choose_settings(warehouse, examples, incumbent, reason, versions)
    return fit(warehouse, examples, choice, encoder_id)


def gather_training_set(
    warehouse: Warehouse, config: PipelineConfig, incumbent: Incumbent, embedder: Embedder
) -> TrainingSet:
    """Gather the training set over the incumbent's base. Raises PipelineError where there are too few pairs."""
    liked = config.training_pairs.min_liked_rating
    starts = _where_the_search_starts(incumbent, embedder.base_model, config.encoders)
    # The review of a held-out interaction must not be an input, neither to choose settings nor to compare them.
    blind = training_data(warehouse, embedder.base_model, liked, starts, blind=True, keyed=config.keyed)
    if blind.pairs.num_rows < 2:
        raise PipelineError(
            f"only {blind.pairs.num_rows} training pairs: too few to train on. A pair is a user's liked review of an item "
            "beside other liked ones; look at the tables user_histories and item_personas"
        )
    interactions = cache(partial(liked_interactions, warehouse, liked))
    return TrainingSet(config.model_copy(update={"encoders": starts}), blind, interactions, embedder)


def choose_settings(
    warehouse: Warehouse, examples: TrainingSet, incumbent: Incumbent, reason: str, versions: Mapping[str, int]
) -> TrainingChoice:
    """Search the settings left open (`encoders.tuned`), then let the gate compare the result with the served settings.

    Refused settings leave the base as it is. A base to be fine-tuned is tuned when it is first needed: to be judged, or to
    be trained over.

    Raises PipelineError where a fine-tune fails, TransientError where it was killed.
    """
    searched = _searched(examples.blind, examples.interactions, examples.config.encoders)
    settings = searched.config if searched else examples.config.encoders
    config = examples.config.model_copy(update={"encoders": settings})
    liked, embedder = config.training_pairs.min_liked_rating, examples.embedder

    @cache
    def configured() -> Embedder:
        base = _configured_base(warehouse, config, versions)
        if base.base_model != embedder.base_model:
            with keyed_work(warehouse, config.keyed, "encoders") as keyed:
                embed_everything(keyed, base, liked, None)
        return base

    def over_configured() -> TrainingData:
        return training_data(warehouse, configured().base_model, liked, settings, blind=True, keyed=config.keyed)

    selected = select_settings(
        incumbent.row, reason, examples.blind, examples.interactions, embedder.base_model, settings, over_configured
    )
    base = embedder if selected.verdict == "kept_settings" else configured()
    if searched is None:
        return TrainingChoice(selected, base, {})
    return TrainingChoice(replace(selected, reasons=[*selected.reasons, *searched.reasons()]), base, searched.metrics())


def fit(warehouse: Warehouse, examples: TrainingSet, choice: TrainingChoice, encoder_id: str) -> TrainedEncoder:
    """Fit head, popularity and prior on everything known, under the chosen settings and over the chosen base."""
    from persona_pipeline.encoder.fit import fit_encoder

    settings, base = choice.selected.config, choice.embedder
    with keyed_work(warehouse, examples.config.keyed, "encoders") as keyed:
        ensure_profiles(keyed, base, settings)
    liked, keyed_config = examples.config.training_pairs.min_liked_rating, examples.config.keyed
    data = training_data(warehouse, base.base_model, liked, settings, keyed=keyed_config)
    prior = fit_prior(warehouse, examples.interactions, examples.config, settings)
    encoder, metrics = fit_encoder(encoder_id, base.base_model, data, prior, reviews_digest(warehouse), settings)
    return TrainedEncoder(encoder, choice.selected, metrics | choice.metrics, data.pairs.num_rows)


def register(
    warehouse: Warehouse, as_of: date, config: PipelineConfig, trained: TrainedEncoder, versions: Mapping[str, int]
) -> WriteResult:
    """Save a trained encoder's artefact, then its row of `encoders`: a row always has its artefact."""
    encoder = trained.encoder
    artefact = ARTEFACTS / encoder.encoder_id
    encoder.save(warehouse.root / artefact)
    row = {
        "encoder_id": encoder.encoder_id,
        "as_of": as_of,
        "artefact": str(artefact),
        "base_model": encoder.base_model,
        "text_version": TEXT_VERSION,
        "dimensions": len(encoder.persona_map),
        "config_digest": settings_digest(config),
        **trained.settled.columns(),
        "pair_count": trained.pair_count,
        "data_versions": [{"table": t, "version": v} for t, v in sorted(versions.items())],
        "metrics": [{"name": n, "value": v} for n, v in sorted(trained.metrics.items())],
    }
    return warehouse.upsert("encoders", pa.Table.from_pylist([row], schema=load_contract("encoders").arrow_schema()))


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


def _searched(
    blind: TrainingData, interactions: Callable[[], Interactions], starts: EncodersConfig
) -> ChosenSettings | None:
    if not _tunes(starts):
        return None
    from persona_pipeline.model_selection.search import search_settings

    began = time.monotonic()
    searched = search_settings(blind, interactions(), starts)
    logger.info("tuning took %.1f s", time.monotonic() - began)
    return searched


def _configured_base(warehouse: Warehouse, config: PipelineConfig, versions: Mapping[str, int]) -> Embedder:
    if config.encoders.method == "head":
        return Embedder(config.text_embeddings, warehouse)
    from persona_pipeline.encoder.finetune.run import tuned_base

    return tuned_base(warehouse, config, versions)
