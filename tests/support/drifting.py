"""A shop whose customers change their mind: each liked four items of one tribe, then three of the other.

Only a history weighed by how recent it is predicts what comes next. Right answers are known: a short half-life is much
better than an endless one, with nothing to learn (`steps: 0`) and nothing else to score by.
"""

import argparse
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from embedded import keyed_by
from helpers import Row, arrow, put

from jobs.encoders import job
from jobs.runner import execute
from persona_pipeline.config import EncodersConfig, TextEmbeddingsConfig, load_config
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.item_embeddings import ensure_profiles
from persona_pipeline.encoder.text_inputs import evidence_texts, liked_interaction_texts, persona_texts
from persona_pipeline.runs.opening import Input, open_run
from persona_pipeline.warehouse import Warehouse

USERS, ITEMS, D = 240, 30, 8
FIRST = date(2024, 6, 1)
RECENT: dict[str, Any] = {"tuning_minutes": 0, "half_life": 1.0, "steps": 0, "heads": 1, "popularity_weight": 0.0}
ENDLESS = {**RECENT, "half_life": 1000.0}


def build(root: Path) -> Warehouse:
    """Every table an encoder is trained from."""
    warehouse = Warehouse(root)
    root.mkdir(parents=True, exist_ok=True)
    liked = {f"u{user:03}": _liked(user) for user in range(USERS)}
    put(warehouse, "reviews", [row for user, items in liked.items() for row in _reviews(user, items)])
    put(warehouse, "user_histories", [_history(user, items) for user, items in liked.items()])
    put(warehouse, "training_pairs", [row for user, items in liked.items() for row in _pairs(user, items)])
    items = [f"{tribe}{n:02}" for tribe in "ab" for n in range(ITEMS)]
    put(warehouse, "item_reviews", [_evidence(item) for item in items])
    put(warehouse, "item_summaries", [])
    put(warehouse, "item_personas", [_persona(item) for item in items])
    embedder = Embedder(TextEmbeddingsConfig(), warehouse)
    rng = np.random.default_rng(3)
    vectors = []
    for told in (persona_texts(warehouse), evidence_texts(warehouse), liked_interaction_texts(warehouse, 0.0)):
        for key, item in zip(told["text_hash"].to_pylist(), told["item_id"].to_pylist(), strict=True):
            vector = np.eye(D)["ab".index(item[0])] + 0.05 * rng.standard_normal(D)
            unit = (vector / np.linalg.norm(vector)).astype(np.float32).tolist()
            vectors.append({"text_hash": key, "base_model": embedder.base_model, "vector": unit})
    put(warehouse, "text_embeddings", vectors)
    with keyed_by(warehouse) as keyed:
        ensure_profiles(keyed, embedder, EncodersConfig())
    return warehouse


def night(warehouse: Warehouse, as_of: date, encoders: Row) -> dict[str, Any]:
    """The job `encoders` of one night under these settings; its summary."""
    run_id = open_run(warehouse.root, as_of, load_config("local", {"encoders": encoders}), Input())
    return execute("encoders", job, argparse.Namespace(warehouse=warehouse.root, run_id=run_id))


def publish(warehouse: Warehouse, as_of: date, encoder_id: str) -> None:
    """A release of the night, which later ones start from."""
    row = {
        "release_id": f"{as_of}-a", "as_of": as_of, "parent_release_id": None, "verdict": "published", "reasons": [],
        "encoder_id": encoder_id, "config_digest": "c", "config": "{}", "table_versions": [], "metrics": [],
    }  # fmt: skip
    warehouse.upsert("releases", arrow("releases", [row]))


def _liked(user: int) -> list[str]:
    """Seven items, oldest first."""
    rng = np.random.default_rng(user)
    before, after = ("a", "b") if user % 2 else ("b", "a")
    return [
        f"{tribe}{n:02}"
        for tribe, count in ((before, 4), (after, 3))
        for n in rng.choice(ITEMS, count, replace=False).tolist()
    ]


def _when(place: int) -> datetime:
    return datetime(2024, 5, 1, tzinfo=UTC) + timedelta(days=place)


def _reviews(user: str, items: list[str]) -> list[Row]:
    return [
        {"review_id": f"{user}-{item}", "user_id": user, "item_id": item, "rating": 5.0, "title": None,
         "text": f"{user} on {item}", "reviewed_at": _when(n), "source_file": "f", "source_line": n + 1}
        for n, item in enumerate(items)
    ]  # fmt: skip


def _history(user: str, items: list[str]) -> Row:
    newest_first = list(enumerate(items))[::-1]
    return {
        "user_id": user, "interaction_count": len(items), "reviewed_item_ids": sorted(items),
        "interactions": [
            {"interaction_id": f"{user}-{item}", "review_id": f"{user}-{item}", "item_id": item, "kind": "review",
             "rating": 5.0, "weight": 1.0, "reviewed_at": _when(n)}
            for n, item in newest_first
        ],
    }  # fmt: skip


def _pairs(user: str, items: list[str]) -> list[Row]:
    newest_first = items[::-1]
    return [
        {"user_id": user, "item_id": item, "interaction_id": f"{user}-{item}", "persona_id": f"{item}-1",
         "label_source": "similarity", "masked_persona_ids": [], "reviewed_at": _when(len(items) - 1 - place),
         "history_interaction_ids": [f"{user}-{other}" for other in newest_first if other != item], "history_place": place,
         "weight": 1.0}
        for place, item in enumerate(newest_first)
    ]  # fmt: skip


def _evidence(item: str) -> Row:
    review = {"review_id": f"e-{item}", "user_id": "e", "rating": 5.0, "reviewed_at": _when(0), "text": f"About {item}"}
    return {
        "item_id": item, "review_count": 1, "mean_rating": 5.0, "last_reviewed_at": _when(0), "evidence": [review]
    }  # fmt: skip


def _persona(item: str) -> Row:
    return {
        "persona_id": f"{item}-1", "item_id": item, "status": "current", "position": 1, "name": f"Friends of {item}",
        "description": "They know.", "preference_rationale": "It suits them.", "evidence": [], "support": 1,
        "mean_rating": 5.0, "stance": "likes", "persona_source": "embedded", "extraction_key": "k",
        "extractor_version": "embedded-1",
        "extracted_from": [], "first_as_of": FIRST, "retired_as_of": None,
    }  # fmt: skip
