"""Decide whether a run trains: the retraining policy, and the id of what it would train."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from persona_pipeline.config import EncodersConfig, PipelineConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.embeddings.model_names import trained_from
from persona_pipeline.encoder.texts import TEXT_VERSION

TRAINED_ON = load_contract("encoders").reads
"""Tables whose versions an encoder is known by."""


@dataclass(frozen=True, slots=True)
class Served:
    """The encoder of the parent release, from its row in `encoders`."""

    encoder_id: str
    as_of: date
    base_model: str
    text_version: str
    config_digest: str


def result_settings(config: EncodersConfig) -> dict[str, Any]:
    """The settings that affect an encoder, by name; with those of a fine-tune, as `finetune.<name>`, where the method is `full`."""
    settings = config.decisive()
    finetune = settings.pop("finetune")
    if config.method == "head":
        return settings
    return settings | {f"finetune.{name}": value for name, value in finetune.items()}


def settings_digest(config: PipelineConfig) -> str:
    """Hash of the settings that affect an encoder."""
    settings = (result_settings(config.encoders), config.training_pairs.model_dump(mode="json"))
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def reason_to_train(served: Served | None, as_of: date, base_model: str, config: PipelineConfig) -> str | None:
    """Return the reason to retrain, or None when the served encoder can be kept. `base_model` is the configured one."""
    if served is None:
        return "there is no encoder yet"
    if trained_from(served.base_model) != base_model:
        return f"the base model changed from {trained_from(served.base_model)} to {base_model}"
    if served.text_version != TEXT_VERSION:
        return f"the text version changed from {served.text_version} to {TEXT_VERSION}"
    if served.config_digest != settings_digest(config):
        return "the settings of encoders or training_pairs changed"
    age = (as_of - served.as_of).days
    due = config.encoders.retrain_every_days
    return f"the served encoder is {age} days old, {due} are allowed" if age >= due else None


def encoder_id(
    as_of: date, base_model: str, config: PipelineConfig, versions: dict[str, int], served: str | None = None
) -> str:
    """Hash of all inputs of a training; training again from the same inputs makes the same encoder.

    `served` is the encoder whose settings are kept where the new ones fail the gate.
    """
    parts = (as_of.isoformat(), base_model, TEXT_VERSION, settings_digest(config), sorted(versions.items()), served)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
