"""Fit an encoder on training data: head, popularity counts and collaborative prior, ready to be saved."""

import numpy as np
import pyarrow as pa

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.head import Head
from persona_pipeline.encoder.head_trainer import train_head
from persona_pipeline.encoder.item_embeddings import persona_inputs
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.encoder.training_data import TrainingData
from persona_pipeline.encoder.training_examples import ItemSlots, TrainingExamples


def fit_head(data: TrainingData, config: EncodersConfig) -> tuple[Head, ItemSlots, dict[str, float]]:
    """Fit the head; returns it with its catalogue and training metrics."""
    inputs = persona_inputs(data.persona_profiles, data.persona_texts, config.persona_weight)
    ids, items = (_texts(data.personas[name]) for name in ("persona_id", "item_id"))
    catalogue = ItemSlots.build(ids, items, inputs)
    examples = TrainingExamples.build(data.pairs, catalogue, data.interactions, data.interaction_profiles, config)
    head, metrics = train_head(examples, catalogue, config)
    return head, catalogue, metrics


def fit_encoder(
    encoder_id: str,
    base_model: str,
    data: TrainingData,
    prior: Prior,
    reviews_digest: str,
    config: EncodersConfig,
) -> tuple[Encoder, dict[str, float]]:
    """Fit the encoder; returns it with its training metrics."""
    head, _, metrics = fit_head(data, config)
    interaction_map, persona_map = head.interaction_map.detach().numpy(), head.persona_map.detach().numpy()
    encoder = Encoder(
        encoder_id,
        base_model,
        TEXT_VERSION,
        interaction_map,
        persona_map,
        data.liked_counts,
        prior,
        # Scores are in units of the temperature that was learned.
        config.model_copy(update={"temperature": head.temperature}),
        reviews_digest,
        data.profile_hashes,
    )
    return encoder, metrics


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    texts: np.ndarray = column.to_numpy(zero_copy_only=False).astype(str)
    return texts
