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
    """Settings to train with, and why.

    `verdict` and `reasons` are those of `encoders`; `judged` is the gate's verdict, if a comparison was needed.
    """

    config: EncodersConfig
    verdict: str
    reasons: list[str]
    judged: GateVerdict | None = None

    def columns(self) -> Mapping[str, Any]:
        """The columns of `encoders` that record these settings."""
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
    """Accept new settings only if they pass the gate against those of the served encoder; else retrain under the served settings.

    Equal settings, or a served encoder that cannot be refitted, need no comparison. Settings of the head alone are
    compared over the incumbent's base. Where the base's own settings change, the new base is fine-tuned first and each
    side refitted over its own base; evaluated are the users no fine-tune has trained on, and a refusal drops the new
    base too.

    Args:
        row: the served encoder's, None on a first night.
        reason: why the run trains.
        data, interactions: training data over `base_model`; both sides are refitted on it. Interactions are read only for a
            comparison.
        tuned: the same data over the base that `config` asks for.
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
