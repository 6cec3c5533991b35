"""Match regenerated personas to the parent release's, so that ids in `item_personas` stay stable; retire unmatched ones.

The similarity of two personas of an item is the larger of the Jaccard index of their evidence reviews and the cosine of
their texts. The assignment with the highest total similarity is taken (Hungarian), and of it the pairs over a
threshold.
"""

import hashlib
import itertools
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from persona_pipeline.extract.types import Embed, Persona

Row = dict[str, Any]


def rows_with_ids(
    item_id: str,
    personas: Sequence[Persona],
    earlier: Sequence[Row],
    made_from: Row,
    as_of: date,
    embed: Embed,
    threshold: float,
) -> list[Row]:
    """Build the rows of `item_personas` for one regenerated item: new personas with ids, and earlier ones retired in this run.

    `earlier` are the item's rows of the parent release. Retired ones stay unchanged; an id is never used again.
    `made_from` are the columns that record the new ones' inputs: extraction_key, extractor_version, extracted_from.
    """
    alive = [row for row in earlier if row["status"] == "current"]
    said = [_said(persona) for persona in personas]
    kept = matches(said, alive, embed, threshold)
    taken = {row["persona_id"] for row in earlier}
    rows = []
    for place, persona in enumerate(personas):
        predecessor = alive[kept[place]] if place in kept else None
        persona_id = predecessor["persona_id"] if predecessor else _new_id(item_id, persona, as_of, taken)
        taken.add(persona_id)
        rows.append(
            {
                "persona_id": persona_id,
                "item_id": item_id,
                "status": "current",
                "position": place + 1,
                **said[place],
                **made_from,
                "first_as_of": predecessor["first_as_of"] if predecessor else as_of,
                "retired_as_of": None,
            }
        )
    surviving = {row["persona_id"] for row in rows}
    for row in earlier:
        if row["persona_id"] not in surviving:
            ended = {"status": "retired", "position": 0, "retired_as_of": as_of} if row["status"] == "current" else {}
            rows.append({**row, **ended})
    return rows


def kept_rows(earlier: Sequence[Row], standing: AbstractSet[str], as_of: date) -> list[Row]:
    """Keep an item's earlier rows where extraction gave no result: current ones only if all their quotes are still verbatim."""
    rows, place = [], 0
    for row in sorted(earlier, key=lambda r: (r["position"], r["persona_id"])):
        if row["status"] != "current":
            rows.append(row)
        elif row["persona_id"] in standing:
            place += 1
            rows.append({**row, "position": place})
        else:
            rows.append({**row, "status": "retired", "position": 0, "retired_as_of": as_of})
    return rows


def matches(new: Sequence[Row], old: Sequence[Row], embed: Embed, threshold: float) -> dict[int, int]:
    """Match new to old personas of an item, by index; rows with name, description, evidence, stance and topic."""
    if not new or not old:
        return {}
    vectors = embed([label(row["name"], row["description"]) for row in (*new, *old)])
    cosine = vectors[: len(new)] @ vectors[len(new) :].T
    refs_of_new, refs_of_old = ([{e["ref"] for e in row["evidence"]} for row in rows] for rows in (new, old))
    overlap = np.array([[_jaccard(left, right) for right in refs_of_old] for left in refs_of_new])
    likeness = np.where(_may_be_same(new, old), np.maximum(cosine, overlap), 0.0)
    pairs = zip(*linear_sum_assignment(-likeness), strict=True)
    return {int(left): int(right) for left, right in pairs if likeness[left, right] >= threshold}


def _may_be_same(new: Sequence[Row], old: Sequence[Row]) -> np.ndarray:
    """Whether (new, old) personas may match, bool: same stance, and same topic where both have one."""
    return np.array(
        [
            [
                one["stance"] == other["stance"]
                and (one["topic"] or other["topic"]) == (other["topic"] or one["topic"])
                for other in old
            ]
            for one in new
        ]
    )


def label(name: str, description: str) -> str:
    """Text of a persona that is embedded for comparing personas."""
    return f"{name}. {description}"


def _said(persona: Persona) -> Row:
    return {
        "name": persona.name,
        "description": persona.description,
        "preference_rationale": persona.preference_rationale,
        "evidence": [
            {"kind": q.kind, "ref": q.ref, "start": q.start, "end": q.end, "quote": q.quote} for q in persona.evidence
        ],
        "stance": persona.stance,
        "topic": persona.topic,
        "support": persona.support,
        "mean_rating": persona.mean_rating,
        "persona_source": persona.source,
        "request_key": persona.request_key,
    }


def _jaccard(left: set[str], right: set[str]) -> float:
    return len(left & right) / len(left | right) if left | right else 0.0


def _new_id(item_id: str, persona: Persona, as_of: date, taken: set[str]) -> str:
    refs = ",".join(f"{q.ref}:{q.start}" for q in persona.evidence)
    for attempt in itertools.count():
        text = "\x1f".join((item_id, as_of.isoformat(), persona.name, refs, str(attempt)))
        candidate = hashlib.sha256(text.encode()).hexdigest()[:16]
        if candidate not in taken:
            return candidate
    raise AssertionError("unreachable")
