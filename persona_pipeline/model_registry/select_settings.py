"""Select the settings to train with: new ones only if they pass the gate against those served."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.encoder.training_data import TrainingData
from persona_pipeline.model_registry.registry import (
    Row,
    differences,
    settings_of,
)
from persona_pipeline.model_selection.gate import GateVerdict


@dataclass(frozen=True, slots=True)
class SelectedSettings:
    """The settings to train with, and why: `verdict` and `reasons` as in `encoders`; `judged` by the gate, if there was need."""

    config: EncodersConfig
    verdict: str
    reasons: list[str]
    judged: GateVerdict | None = None

    def columns(self) -> Mapping[str, Any]:
        """Their columns of `encoders`."""
        return {
            "settings": self.config.model_dump_json(),
            "verdict": self.verdict,
            "reasons": self.reasons,
            "ndcg_difference": self.judged and self.judged.difference,
            "ndcg_low": self.judged and self.judged.low,
            "ndcg_high": self.judged and self.judged.high,
        }


def select_settings(
    row: Row | None,
    reason: str,
    data: TrainingData,
    interactions: Callable[[], Interactions],
    base_model: str,
    config: EncodersConfig,
    tuned: Callable[[], TrainingData],
) -> SelectedSettings:
    """New settings only if they pass the gate against those of the served encoder, which else are trained on newer data.

    Where the settings are the same, or the served encoder cannot be refitted, there is nothing to compare. Settings of
    the head alone are compared over the base that stands. Where the base is made otherwise, the new one is trained first
    and each side refitted over its own; judged are the users whom no fine-tune has seen, refused is the new base with them.

    Args:
        row: the served encoder's, None on a first night.
        reason: why the night trains.
        data, interactions: what it trains from, over `base_model`; both sides are refitted on it. Interactions are read where
            that happens.
        tuned: the same data over the base that `config` would have.
    """
    if row is None:
        return SelectedSettings(config, "first", [reason])
    try:
        served = settings_of(row)
    except PipelineError as error:
        return SelectedSettings(config, "promoted", [reason, f"nothing to refit: {error}"])
    if (row["base_model"], row["text_version"]) != (base_model, TEXT_VERSION):
        return SelectedSettings(
            config, "promoted", [reason, f"encoder {row['encoder_id']} cannot be refitted on tonight's texts"]
        )
    changed = differences(served, config)
    if not changed:
        return SelectedSettings(
            config, "promoted", [reason, "its settings are those served: there is nothing to compare"]
        )
    from persona_pipeline.model_selection.challenger import compare_settings

    told = f"settings tried against those of encoder {row['encoder_id']}: " + ", ".join(
        f"{name} {value}" for name, value in changed.items()
    )
    if any(name == "method" or name.startswith("finetune.") for name in changed):
        unseen = min(side.finetune.validation_share for side in (served, config) if side.method == "full")
        told += f"; each over its own base, for the {unseen:.0%} of users no fine-tune is shown (validation_share)"
        verdict = compare_settings(data, interactions(), served, config, config.gate_margin, tuned, unseen).verdict
    else:
        verdict = compare_settings(data, interactions(), served, config, config.gate_margin).verdict
    if verdict.promoted:
        return SelectedSettings(config, "promoted", [told, *verdict.reasons], verdict)
    kept = {name: getattr(served, name) for name in EncodersConfig.model_fields.keys() - EncodersConfig.operational()}
    return SelectedSettings(config.model_copy(update=kept), "kept_settings", [told, *verdict.reasons], verdict)
