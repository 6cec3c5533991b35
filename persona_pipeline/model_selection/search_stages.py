"""List the settings a hyperparameter search tries, in stages of settings that go together, the most effective first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.item_embeddings import ItemFields

# Defaults are among them: a later search, which starts from what was chosen, must be able to come back.
HALF_LIVES = {"rank": (2.0, 1.0, 3.0, 5.0, 10.0), "days": (30.0, 180.0, 720.0)}
AGES = (0.0, 730.0)
TRAINING: tuple[dict[str, Any], ...] = tuple(
    {"training_histories": histories, "steps": steps}
    for histories, steps in product(("earlier", "both"), (200, 100, 50))
)
CONTENT_WEIGHTS = (1.0, 2.0, 4.0)
PERSONA_WEIGHTS = (0.0, 0.1, 0.5, 1.0, 2.0, 4.0)
"""Beside the profile: the more an item's fans differ, the more of it must be their own."""


@dataclass(frozen=True, slots=True)
class SearchStage:
    """Settings that are compared with the current settings in one stage.

    `until_worse` ends the stage with the first setting that is significantly worse: its settings are in ascending or
    descending order.
    """

    settings: Sequence[Mapping[str, Any]]
    until_worse: bool = False

    def tried(self, stands: EncodersConfig) -> list[dict[str, Any]]:
        """For each setting, the values that differ from the current settings and are tuned."""
        found = []
        for settings in self.settings:
            changed = {
                name: value
                for name, value in settings.items()
                if name in stands.tuned and value != getattr(stands, name)
            }
            if changed and changed not in found:
                found.append(changed)
        return found


def stages(stands: EncodersConfig, fields: ItemFields | None) -> list[SearchStage]:
    """List every stage of a pass that starts from `stands`; weights of fields missing from all items are not tried."""
    found = [SearchStage([{"age_half_life_days": age} for age in AGES])]
    for field in fields.known() if fields else []:
        name = f"{field}_weight"
        now = getattr(stands, name)
        found.append(SearchStage([{name: weight} for weight in CONTENT_WEIGHTS if weight > now], until_worse=True))
        found.append(
            SearchStage([{name: weight} for weight in (*CONTENT_WEIGHTS[::-1], 0.0) if weight < now], until_worse=True)
        )
    found.append(SearchStage([{"persona_weight": weight} for weight in PERSONA_WEIGHTS]))
    found.append(SearchStage(TRAINING))
    found.append(SearchStage([{"half_life": half_life} for half_life in HALF_LIVES[stands.recency]]))
    return found
