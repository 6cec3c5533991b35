"""When several personas are worth more than one vector: `far_apart_fans.py [--seeds N]`, a world of vectors, no warehouse.

Every item has `kinds` kinds of fans, far apart: each kind is a random direction, and there are more kinds than dimensions, so
that a mean of several is near others. A person is of one kind and meets items that have it. What they write is their kind's
direction and noise, an item's profile the mean of what was written, and it has one persona a kind. Each person's newest item is
predicted with heads trained alike: on all personas (soft maximum, and maximum), on their mean, and on the profile alone. With one
kind an item the three are the same thing: the control. NDCG@10, and the difference to the profile alone, paired by person, with
its 95% interval.
"""

import argparse
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import torch
from _comparing import told

from persona_pipeline.backtest.ablations import mean_persona
from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.fit import fit_head
from persona_pipeline.encoder.training_data import TrainingData
from persona_pipeline.evaluate.significance import compare
from persona_pipeline.model_selection.holdout import hold_out
from persona_pipeline.model_selection.next_item import held_out_interactions
from persona_pipeline.model_selection.score_fusion import mixture_of, reached

KINDS, ITEMS, PEOPLE, MET, DIMENSIONS = 60, 400, 1_500, 5, 24
NOISE = 1.5
"""Of a text, as a share of the length of what its writer's kind always says."""


def main(seeds: int) -> dict[str, object]:
    """Figures by kinds of fans an item has."""
    found: dict[str, object] = {}
    for kinds in (1, 2, 4):
        runs = [_reached(*world(kinds, seed), seed) for seed in range(seeds)]
        values = {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}
        one = values["profile alone"]
        rows = {}
        for name, reached_by in values.items():
            pair = compare(reached_by, one)
            parts = {"difference": pair.value, "low": pair.low, "high": pair.high, "p": pair.p_value}
            interval = {part: round(float(value), 4) for part, value in parts.items()}
            rows[name] = {"ndcg@10": round(float(reached_by.mean()), 4), "vs_profile": interval}
            print(f"{kinds} kinds  {name:18} {reached_by.mean():.4f}  {told(interval)}")
        found[f"{kinds} kinds"] = rows
    return found


def world(kinds: int, seed: int) -> tuple[TrainingData, Interactions]:
    """Training data of a world in which each item has so many kinds of fans."""
    rng = np.random.default_rng(seed)
    directions = _unit(rng.standard_normal((KINDS, DIMENSIONS)))
    kinds_of = np.stack([rng.choice(KINDS, kinds, replace=False) for _ in range(ITEMS)])
    fans = [np.flatnonzero((kinds_of == kind).any(axis=1)) for kind in range(KINDS)]
    kind_of = rng.integers(KINDS, size=PEOPLE)
    met = [rng.permutation(fans[kind])[:MET] for kind in kind_of]
    said: dict[tuple[int, int], list[np.ndarray]] = {}
    for person, items in enumerate(met):
        noise = NOISE * _unit(rng.standard_normal((len(items), DIMENSIONS)))
        for item, text in zip(items, _unit(directions[kind_of[person]] + noise), strict=True):
            said.setdefault((int(item), int(kind_of[person])), []).append(text)
    keys = sorted(said)
    personas = _unit(np.stack([np.mean(said[key], axis=0) for key in keys]))
    profiles = np.zeros((ITEMS, DIMENSIONS))
    for (item, _), texts in said.items():
        profiles[item] += np.sum(texts, axis=0)
    return _training_data(met, kind_of, keys, personas.astype(np.float32), _unit(profiles).astype(np.float32))


def _training_data(
    met: list[np.ndarray], kind_of: np.ndarray, keys: list[tuple[int, int]], personas: np.ndarray, profiles: np.ndarray
) -> tuple[TrainingData, Interactions]:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [(person, int(item), place) for person, items in enumerate(met) for place, item in enumerate(items)]
    names = [(f"u{person:05}", f"u{person:05}-{item:04}", f"i{item:04}", -float(place)) for person, item, place in rows]
    pairs = [
        {
            "user_id": f"u{person:05}",
            "item_id": f"i{item:04}",
            "interaction_id": f"u{person:05}-{item:04}",
            "persona_id": f"i{item:04}-{kind_of[person]:02}",
            "label_source": "similarity",
            "masked_persona_ids": [],
            "reviewed_at": start - timedelta(days=place),
            "history_interaction_ids": [f"u{person:05}-{other:04}" for other in met[person] if other != item],
            "history_place": place,
            "weight": 1.0,
        }
        for person, item, place in rows
        if len(met[person]) > 1
    ]
    columns = zip(*names, strict=True)
    counts = np.bincount([item for _, item, _ in rows], minlength=ITEMS)
    data = TrainingData(
        pa.Table.from_pylist(pairs, load_contract("training_pairs").arrow_schema()),
        pa.table(
            {
                "persona_id": [f"i{item:04}-{kind:02}" for item, kind in keys],
                "item_id": [f"i{item:04}" for item, _ in keys],
            }
        ),
        personas,
        profiles[[item for item, _ in keys]],
        pa.table(
            dict(zip(("user_id", "interaction_id", "item_id", "day"), columns, strict=True))
            | {"weight": [1.0] * len(names)}
        ),
        profiles[[item for _, item, _ in rows]],
        {f"i{item:04}": int(count) for item, count in enumerate(counts)},
    )
    users, _, items, days = zip(*sorted(names, key=lambda row: row[3]), strict=True)
    return data, Interactions.build(users, items, [int(day) for day in days])


def _reached(data: TrainingData, interactions: Interactions, seed: int) -> dict[str, np.ndarray]:
    """(people,) NDCG@10 by model."""
    plain = EncodersConfig.model_validate({"popularity_weight": 0.0, "seed": seed, "heads": 1, "prior": "none"})
    alone = plain.model_copy(update={"persona_weight": 0.0})
    blurred, _ = mean_persona(data, plain)
    models = {
        "several": (data, plain),
        "several, weight 4": (data, plain.model_copy(update={"persona_weight": 4.0})),
        "several, max": (data, plain.model_copy(update={"aggregation": "max"})),
        "their mean": (blurred, plain),
        "profile alone": (data, alone),
    }
    found = {}
    for name, (told_of, config) in models.items():
        parts = hold_out(told_of, interactions)
        items = np.unique(told_of.personas["item_id"].to_numpy(zero_copy_only=False).astype(str))
        asked = held_out_interactions(parts.data, parts.interactions, parts.newest, items, PEOPLE)
        head, catalogue, _ = fit_head(parts.data, config)
        answered = reached(head, catalogue, parts.data, asked, parts.masked(), config, [mixture_of(config)], _no_prior)
        found[name] = answered.values[0]
    return found


def _no_prior(_: str) -> Prior:
    return Prior.none()


def _unit(vectors: np.ndarray) -> np.ndarray:
    found: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    print(json.dumps(main(parser.parse_args().seeds)))
