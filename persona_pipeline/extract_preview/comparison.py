"""Compare two sets of `item_personas` of the same items, each of a trial or a release, in quality and cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.extract.identity import label, matches
from persona_pipeline.extract.memoised import memoised
from persona_pipeline.extract.types import Embed, Stage
from persona_pipeline.extract_preview.trial import ExtractionTrial
from persona_pipeline.warehouse import Warehouse

Row = dict[str, Any]
ByItem = Mapping[str, Sequence[Row]]
"""Rows of `item_personas`, the current ones, by item."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of a trial. `catalogue_tokens`, prompts and replies with retries, extrapolate to the whole catalogue."""

    asked: int
    cached: int
    outcomes: Mapping[str, int]
    verdicts: Mapping[str, int]
    refused: Mapping[Stage, int]
    tokens: int
    catalogue_tokens: float

    @property
    def valid_share(self) -> float | None:
        """Share of requests with a usable reply; None without any."""
        total = sum(self.outcomes.values())
        return self.outcomes.get("ok", 0) / total if total else None

    @property
    def grounded_share(self) -> float | None:
        """Share of the replies' personas that are kept, or merged into one that is."""
        total = sum(self.verdicts.values())
        return (self.verdicts.get("kept", 0) + self.verdicts.get("merged", 0)) / total if total else None


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison. Without `costs`, no request was made."""

    name: str
    personas: ByItem
    costs: Costs | None = None
    tokens_per_second: float = 1.0
    cost_per_hour: float = 0.0

    @property
    def rows(self) -> list[Row]:
        """All personas."""
        return [row for rows in self.personas.values() for row in rows]


@dataclass(frozen=True, slots=True)
class PersonaComparison:
    """The items of a comparison, and the matches of left to right personas: by item, index to index."""

    items: Sequence[str]
    left: Side
    right: Side
    pairs: Mapping[str, Mapping[int, int]] = field(default_factory=dict)

    @property
    def matched(self) -> int:
        """Personas of the left side with a counterpart."""
        return sum(len(pairs) for pairs in self.pairs.values())


def sampled(warehouse: Warehouse, count: int, wanted: Sequence[str] = ()) -> list[str]:
    """Sample items with evidence: those `wanted`, else `count` of them by hash, so that a larger sample holds every smaller one.

    Raises PipelineError where there are none, or a wanted item has no evidence.
    """
    items: list[str] = warehouse.query(
        "SELECT item_id FROM items JOIN item_reviews USING (item_id) WHERE len(evidence) > 0 ORDER BY md5(item_id), item_id",
        ["items", "item_reviews"],
    )["item_id"].to_pylist()
    if not items:
        raise PipelineError(f"no item in {warehouse.root} has evidence yet; `make nightly` runs a night")
    if not wanted:
        return items[:count]
    for item in sorted(set(wanted) - set(items)):
        raise PipelineError(f"--item {item}: there is no such item with evidence reviews in {warehouse.root}")
    return list(dict.fromkeys(wanted))


def costs_of(trial: ExtractionTrial, warehouse: Warehouse) -> Costs:
    """Count a trial's costs, and extrapolate them to the whole catalogue: tokens by subject and stage, times the subjects."""
    tokens = {s: u.prompt_tokens + u.completion_tokens + u.cached_tokens for s, u in trial.usage.items()}
    subjects = {stage: len(extracted.asked) for stage, extracted in trial.extracted.items()}
    everyone = _catalogue(warehouse)
    outcomes: Counter[str] = Counter()
    for usage in trial.usage.values():
        outcomes.update(usage.outcomes)
    return Costs(
        sum(usage.asked for usage in trial.usage.values()),
        sum(usage.cached for usage in trial.usage.values()),
        dict(outcomes),
        {str(verdict): count for verdict, count in trial.verdicts.items()},
        {stage: len({refusal.subject for refusal, _ in e.refused}) for stage, e in trial.extracted.items()},
        sum(tokens.values()),
        sum(tokens[stage] / subjects[stage] * everyone[stage] for stage in tokens if subjects[stage]),
    )


def by_item(personas: Sequence[Row]) -> dict[str, list[Row]]:
    """Group current personas by item, in their order."""
    found: dict[str, list[Row]] = {}
    for row in sorted(personas, key=lambda row: (row["item_id"], row["position"])):
        if row["status"] == "current":
            found.setdefault(row["item_id"], []).append(row)
    return found


def compared(items: Sequence[str], left: Side, right: Side, embed: Embed, threshold: float) -> PersonaComparison:
    """Match the personas, item by item, as a run matches regenerated personas to the parent release's."""
    labels = [label(row["name"], row["description"]) for row in (*left.rows, *right.rows)]
    remembered = memoised(embed, labels)
    pairs = {
        item: matches(left.personas.get(item, ()), right.personas.get(item, ()), remembered, threshold)
        for item in items
    }
    return PersonaComparison(items, left, right, pairs)


def mean(values: Sequence[float]) -> float | None:
    """Mean, or None of an empty sequence."""
    return float(np.mean(values)) if values else None


def _catalogue(warehouse: Warehouse) -> dict[Stage, int]:
    """Number of subjects of each stage where nothing is extracted yet."""
    row = warehouse.query(
        """
        SELECT (SELECT count(*) FROM items JOIN item_reviews USING (item_id)) AS items,
               (SELECT count(*) FROM (SELECT unnest(evidence) FROM item_reviews)) AS reviews
        """,
        ["items", "item_reviews"],
    ).to_pylist()[0]
    return {"review_aspects": row["reviews"], "item_summaries": row["items"], "item_personas": row["items"]}
