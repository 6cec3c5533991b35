"""Select drift limits against the parent release: strict when only data changed, wide after a change of encoder or settings."""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from persona_pipeline.config import PipelineConfig
from persona_pipeline.publish.releases import Release, configured
from persona_pipeline.warehouse import Warehouse


def audit_parameters(
    warehouse: Warehouse, as_of: date, config: PipelineConfig, parent: Release | None, encoder_id: str
) -> dict[str, Any]:
    """Values that the audit's measures and suites refer to."""
    changed = changes_since(warehouse, config, parent, encoder_id)
    limits = config.releases.limits_after_change if changed else config.releases.limits
    return {
        "as_of": as_of.isoformat(),
        "k": config.user_item_topk.k,
        "exclude_reviewed": config.user_item_topk.exclude_reviewed,
        "seen_weight": config.interactions.seen_weight,
        "only_candidates": config.user_item_topk.candidates == "only",
        "max_per_category": config.user_item_topk.max_per_category,
        "category_level": config.user_item_topk.category_level,
        "max_per_creator": config.user_item_topk.max_per_creator,
        "max_personas": config.extraction.max_personas,
        "max_reviews": config.item_reviews.max_reviews,
        **{f"max_{name}": value for name, value in (*limits, *config.releases.input)},
    }


def changes_since(warehouse: Warehouse, config: PipelineConfig, parent: Release | None, encoder_id: str) -> list[str]:
    """List changes other than reviews since the parent release, in words: encoder, settings, extractor."""
    if parent is None:
        return []
    found = [f"encoder {encoder_id} after {parent.encoder_id}"] if encoder_id != parent.encoder_id else []
    found += map(str, changed_settings(configured(warehouse, parent), config.model_dump(mode="json")))
    versions = warehouse.query(
        "SELECT DISTINCT extractor_version FROM item_personas WHERE status = 'current' "
        "AND extractor_version NOT IN (SELECT extractor_version FROM before) ORDER BY 1",
        ["item_personas"],
        before=warehouse.dataset("item_personas", parent.versions["item_personas"]),
    )
    return found + [f"extractor {version}" for version in versions["extractor_version"].to_pylist()]


class Changed(NamedTuple):
    """A setting that affects results, as `stage.setting`, with its old and new value."""

    setting: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.setting} {self.now} after {self.before}"


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[Changed]:
    """List the settings that affect results and differ."""
    found: list[Changed] = []
    for name in sorted(before.keys() | now.keys()):
        if f"{prefix}{name}" in PipelineConfig.operational():
            continue
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += changed_settings(old, new, f"{prefix}{name}.")
        elif old != new:
            found.append(Changed(f"{prefix}{name}", old, new))
    return found
