"""What a night does about its encoder: serve one that a person chose, or train, with the settings the gate lets through."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.encoder.retraining import Served, TrainingData
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.errors import PipelineError
from persona_pipeline.evaluate.gate import Verdict
from persona_pipeline.promotion.overrides import Override, in_force, serving_since
from persona_pipeline.promotion.registry import (
    Row,
    differences,
    encoder_row,
    encoder_rows,
    readable,
    settings_of,
)
from persona_pipeline.publish.releases import Release
from persona_pipeline.warehouse import Warehouse, WriteResult


@dataclass(frozen=True, slots=True)
class Standing:
    """The encoder a night starts from.

    Attributes:
        row: its row of `encoders`; None on a first night, as is `since`.
        override: what a person decided, if that is why it stands.
        since: the night from which its age counts.
    """

    row: Row | None
    override: Override | None
    since: date | None

    @property
    def served(self) -> Served | None:
        """What the policy of retraining goes by."""
        if self.row is None or self.since is None:
            return None
        row = self.row
        return Served(row["encoder_id"], self.since, row["base_model"], row["text_version"], row["config_digest"])


def standing(warehouse: Warehouse, overrides: Sequence[Override], as_of: date, parent: Release | None) -> Standing:
    """What a person decided, as far as the run was told, or the encoder of the parent release.

    A promotion from before texts were rendered otherwise is passed over: no encoder of that time can serve, so there is none
    to name instead, and the night trains one. A pin is not, as it says that none is to be trained.

    Raises PipelineError where the encoder decided on is not on record, cannot be read, or has a base that is gone.
    """
    override = in_force(overrides, as_of, parent)
    if override and not (override.override == "promote" and _outdated(warehouse, override.encoder_id)):
        row = _obeyed(warehouse, override)
    else:
        override = None
        found = [row for row in encoder_rows(warehouse) if parent and row["encoder_id"] == parent.encoder_id]
        if not found:
            return Standing(None, None, None)
        row = found[0]
    return Standing(row, override, serving_since(overrides, row["encoder_id"], row["as_of"], as_of))


def _outdated(warehouse: Warehouse, encoder_id: str) -> bool:
    return any(
        row["encoder_id"] == encoder_id and row["text_version"] != TEXT_VERSION for row in encoder_rows(warehouse)
    )


def _obeyed(warehouse: Warehouse, override: Override) -> Row:
    instead = (
        "`persona-pipeline encoders pin --off` ends the pin"
        if override.override == "pin"
        else "`persona-pipeline encoders promote` names another"
    )
    try:
        readable(warehouse, override.encoder_id)
        return encoder_row(warehouse, override.encoder_id)
    except PipelineError as error:
        raise PipelineError(f"{error} (it was {override.told()}; {instead})") from error


def mark_manual(warehouse: Warehouse, stands: Standing) -> list[WriteResult]:
    """Put a promotion by hand on record in `encoders`; a pin only keeps, and changes nothing there."""
    if stands.row is None or stands.override is None or stands.override.override != "promote":
        return []
    row = {**stands.row, "verdict": "manual", "reasons": [stands.override.told()]}
    return [warehouse.upsert("encoders", pa.Table.from_pylist([row], schema=load_contract("encoders").arrow_schema()))]


@dataclass(frozen=True, slots=True)
class Settled:
    """The settings to train with, and why: `verdict` and `reasons` as in `encoders`; `judged` by the gate, if there was need."""

    config: EncodersConfig
    verdict: str
    reasons: list[str]
    judged: Verdict | None = None

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


def settle(
    row: Row | None,
    reason: str,
    data: TrainingData,
    interactions: Callable[[], Interactions],
    base_model: str,
    config: EncodersConfig,
    tuned: Callable[[], TrainingData],
) -> Settled:
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
        return Settled(config, "first", [reason])
    try:
        served = settings_of(row)
    except PipelineError as error:
        return Settled(config, "promoted", [reason, f"nothing to refit: {error}"])
    if (row["base_model"], row["text_version"]) != (base_model, TEXT_VERSION):
        return Settled(
            config, "promoted", [reason, f"encoder {row['encoder_id']} cannot be refitted on tonight's texts"]
        )
    changed = differences(served, config)
    if not changed:
        return Settled(config, "promoted", [reason, "its settings are those served: there is nothing to compare"])
    from persona_pipeline.promotion.comparison import compare_settings

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
        return Settled(config, "promoted", [told, *verdict.reasons], verdict)
    kept = {name: getattr(served, name) for name in EncodersConfig.model_fields.keys() - EncodersConfig.undecisive()}
    return Settled(config.model_copy(update=kept), "kept_settings", [told, *verdict.reasons], verdict)
