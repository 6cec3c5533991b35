"""Resolve the encoder a run starts from: the one a person decided on, or the parent release's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.encoder.retrain_policy import Served
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.model_registry.overrides import Override, in_force, serving_since
from persona_pipeline.model_registry.registry import (
    Row,
    encoder_row,
    encoder_rows,
    readable,
)
from persona_pipeline.publish.releases import Release
from persona_pipeline.warehouse import Warehouse, WriteResult


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The encoder a run starts from.

    Attributes:
        row: its row of `encoders`; None on a first night, as is `since`.
        override: the pin or promotion that chose it, if any.
        since: the night from which its age counts.
    """

    row: Row | None
    override: Override | None
    since: date | None

    @property
    def served(self) -> Served | None:
        """The encoder as the retrain policy sees it."""
        if self.row is None or self.since is None:
            return None
        row = self.row
        return Served(row["encoder_id"], self.since, row["base_model"], row["text_version"], row["config_digest"])


def incumbent_of(warehouse: Warehouse, overrides: Sequence[Override], as_of: date, parent: Release | None) -> Incumbent:
    """Return the encoder chosen by an override in force, else the encoder of the parent release.

    A promotion of an encoder that renders texts in an earlier version is passed over: no encoder of that time can serve, so
    there is none to name instead, and the run trains one. A pin is not passed over, as it says that none is to be trained.

    Raises PipelineError where the override's encoder is not registered, cannot be read, or has a base that is gone.
    """
    override = in_force(overrides, as_of, parent)
    if override and not (override.override == "promote" and _outdated(warehouse, override.encoder_id)):
        row = _obeyed(warehouse, override)
    else:
        override = None
        found = [row for row in encoder_rows(warehouse) if parent and row["encoder_id"] == parent.encoder_id]
        if not found:
            return Incumbent(None, None, None)
        row = found[0]
    return Incumbent(row, override, serving_since(overrides, row["encoder_id"], row["as_of"], as_of))


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


def mark_manual(warehouse: Warehouse, incumbent: Incumbent) -> list[WriteResult]:
    """Record a promotion by hand in `encoders`; a pin changes no row."""
    if incumbent.row is None or incumbent.override is None or incumbent.override.override != "promote":
        return []
    row = {**incumbent.row, "verdict": "manual", "reasons": [incumbent.override.told()]}
    return [warehouse.upsert("encoders", pa.Table.from_pylist([row], schema=load_contract("encoders").arrow_schema()))]
