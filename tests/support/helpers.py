"""A music shop small enough to check by eye, consistent from reviews to candidates, and a way to write any table."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from persona_pipeline.config import EncodersConfig
from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.publish.staging import PUBLISHED, staged_tables
from persona_pipeline.warehouse import Warehouse

Row = dict[str, Any]

AS_OF = date(2024, 6, 30)
BASE_MODEL = "one-hot@1:256"
TITLES = {
    "capo": "Spring capo",
    "picks": "Nylon picks, pack of 12",
    "strap": "Padded guitar strap",
    "strings": None,
    "tuner": "Clip-on tuner",
}
_REVIEWS = [
    ("ana", "strap", 5.0, 1, "Wide and padded, my shoulder does not hurt after a three hour gig."),
    ("ana", "tuner", 4.0, 5, "Reads fast even on a loud stage."),
    ("ana", "strings", 5.0, 20, "Bright and loud, they last a month of weekly rehearsals."),
    ("ben", "strap", 5.0, 2, "Bought it for my daughter, who just started lessons. She loves it."),
    ("ben", "picks", 2.0, 3, "They crack within a week."),
    ("ben", "capo", 5.0, 9, "One hand is enough to move it between songs."),
    ("cleo", "tuner", 5.0, 4, "Needle is easy to see in the dark."),
    ("cleo", "capo", 4.0, 7, "Holds every string down, no buzz on my old acoustic."),
    ("dan", "picks", 4.0, 6, "Warm sound, and soft enough for strumming at home."),
    ("dan", "strings", 5.0, 8, "Easy on the fingers of a beginner like me."),
]
_PERSONAS = [
    ("strap", "Gigging players", "ana", "my shoulder does not hurt"),
    ("strap", "Proud parents", "ben", "for my daughter"),
    ("tuner", "Stage musicians", "ana", "even on a loud stage"),
    ("capo", "Quick changers", "ben", "One hand is enough"),
    ("picks", "Home strummers", "dan", "strumming at home"),
    ("strings", "Careful beginners", "dan", "Easy on the fingers"),
]
_LISTS = {"ana": ["capo", "picks"], "ben": ["tuner", "strings"], "cleo": ["strap", "strings"], "dan": ["strap", "capo"]}


def arrow(table: str, rows: Sequence[Row]) -> pa.Table:
    """Rows in the contract's types."""
    return pa.Table.from_pylist(list(rows), schema=load_contract(table).arrow_schema())


def as_met(review: Row) -> Row:
    """The interaction that stands for a review in a history."""
    told = {name: review[name] for name in ("review_id", "item_id", "rating", "reviewed_at")}
    return {"interaction_id": review["review_id"], "kind": "review", "weight": 1.0, **told}


def put(warehouse: Warehouse, table: str, rows: Sequence[Row]) -> None:
    """Write a table whole, whichever engine its contract names."""
    partitions = list(load_contract(table).partition_by) or None
    write_deltalake(warehouse.path(table), arrow(table, rows), mode="overwrite", partition_by=partitions)


def state(warehouse: Warehouse) -> dict[str, int]:
    """Versions of what is no record of what happened."""
    logs = set(table_names("log"))
    return {table: version for table, version in warehouse.versions().items() if table not in logs}


def put_all(warehouse: Warehouse, tables: Mapping[str, Sequence[Row]]) -> None:
    """Write tables, those that readers open as candidates."""
    for table, rows in tables.items():
        put(staged_tables(warehouse) if table in PUBLISHED else warehouse, table, rows)


def one_hot(place: int, dimensions: int = 8) -> list[float]:
    """A unit vector along one axis."""
    return [float(i == place) for i in range(dimensions)]


def toward(*texts: str, dimensions: int = 16) -> np.ndarray:
    """Unit vectors that depend on the text alone, (n, d) float32."""
    rows = [np.random.default_rng(list(text.encode())).standard_normal(dimensions) for text in texts]
    vectors = np.stack(rows).astype(np.float32)
    normalised: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normalised


def span(text: str, quote: str, ref: str) -> Row:
    """Evidence: where the quote stands in the review."""
    start = text.index(quote)
    return {"kind": "review", "ref": ref, "start": start, "end": start + len(quote), "quote": quote}


def reviews() -> list[Row]:
    """The shop's ten reviews, one of each user and item."""
    return [
        {
            "review_id": f"{user}-{item}", "user_id": user, "item_id": item, "rating": rating, "title": None, "text": text,
            "language": "en", "spam": None, "reviewed_at": datetime(2024, 6, day, 12, tzinfo=UTC),
            "source_file": "june.jsonl", "source_line": line,
        }
        for line, (user, item, rating, day, text) in enumerate(_REVIEWS, start=1)
    ]  # fmt: skip


def shop() -> dict[str, list[Row]]:
    """Every table of one night that passes its audit; fresh rows at each call, to be spoiled at will."""
    found = reviews()
    texts = {row["review_id"]: row["text"] for row in found}
    newest_first = sorted(found, key=lambda row: row["reviewed_at"], reverse=True)
    users, items = sorted({row["user_id"] for row in found}), sorted(TITLES)
    of_item = {item: [row for row in newest_first if row["item_id"] == item] for item in items}
    of_user = {user: [row for row in newest_first if row["user_id"] == user] for user in users}
    personas = _personas(texts)
    return {
        "reviews": found,
        "input_files": [
            {"name": "june.jsonl", "bytes": 4_000, "digest": "d1", "format": "json", "parsed_file": "p1", "parsed_in": f"{AS_OF}.1",
             "records": 11, "refused": 1, "erased": 0, "newest_at": max(row["reviewed_at"] for row in found)},
        ],
        "parsed_reviews": [
            {**{name: value for name, value in row.items() if name not in ("source_file", "spam")},
             "parsed_in": f"{AS_OF}.1", "parsed_file": "p1", "part": 0, "reason": None, "field": None, "detail": None, "says": 1,
             "words": 9, "text_key": 1, "sketch": 1, "bands": [1]}
            for row in found
        ],
        "rejected_reviews": [
            {"source_file": "june.jsonl", "source_line": 11, "part": 0, "input": "reviews", "reason": "not_json", "field": None,
             "detail": '{"user": "eve", "item'},
        ],
        "candidates": [
            {"user_id": "ana", "item_id": item, "rank": rank, "score": 1.0 / rank}
            for rank, item in enumerate(_LISTS["ana"], start=1)
        ],
        "rejected_candidates": [
            {"source_file": "lists.csv", "source_line": 3, "part": 0, "reason": "not_csv", "detail": None, "text": "ana"},
        ],
        "items": [
            {"item_id": item, "title": TITLES[item], "creator": None, "categories": ["Music"], "description": None,
             "has_metadata": True, "available": True, "unavailable_reason": None}
            for item in items
        ],
        "blocks": [{"user_id": "eve", "kind": "creator", "value": "Gibson"}],
        "item_reviews": [
            {"item_id": item, "review_count": len(rows), "mean_rating": 4.5, "last_reviewed_at": rows[0]["reviewed_at"],
             "evidence": [{k: row[k] for k in ("review_id", "user_id", "rating", "reviewed_at", "text")} for row in rows]}
            for item, rows in of_item.items()
        ],
        "user_histories": [
            {"user_id": user, "interaction_count": len(rows), "reviewed_item_ids": sorted(r["item_id"] for r in rows),
             "interactions": [as_met(row) for row in rows]}
            for user, rows in of_user.items()
        ],
        "review_aspects": [
            {"review_id": row["review_id"], "item_id": row["item_id"], "user_id": row["user_id"],
             "category_preference": None, "purchase_purpose": None, "quality_criteria": row["text"].rstrip("."),
             "usage_context": None, "aspect_source": "embedded", "extraction_key": "k",
             "extractor_version": "embedded-1",
             "evidence": [{"aspect": "quality_criteria", "start": 0, "end": len(row["text"]), "quote": row["text"]}]}
            for row in found
        ],
        "item_summaries": [
            {"item_id": item, "summary": f"{TITLES[item] or 'Bronze strings'}. For guitar players.",
             "summary_source": "metadata" if TITLES[item] else "reviews", "extraction_key": "k",
             "extractor_version": "embedded-1"}
            for item in items
        ],
        "item_personas": personas,
        "quarantine": [],
        "interactions": [],
        "rejected_interactions": [],
        "persona_choices": [
            {"user_id": "cleo", "item_id": "capo", "review_id": "cleo-capo", "persona_id": "capo-4",
             "reasoning": "Persona 1 moves it fast.", "request_key": "k"},
        ],
        "training_pairs": [
            {"user_id": "ana", "item_id": "tuner", "interaction_id": "ana-tuner", "persona_id": "tuner-3",
             "label_source": "similarity", "masked_persona_ids": [], "reviewed_at": datetime(2024, 6, 5, 12, tzinfo=UTC),
             "history_interaction_ids": ["ana-strings", "ana-strap"], "history_place": 1, "weight": 1.0},
            {"user_id": "ben", "item_id": "capo", "interaction_id": "ben-capo", "persona_id": "capo-4",
             "label_source": "similarity", "masked_persona_ids": [], "reviewed_at": datetime(2024, 6, 9, 12, tzinfo=UTC),
             "history_interaction_ids": ["ben-strap"], "history_place": 0, "weight": 1.0},
        ],
        "text_embeddings": [
            {"text_hash": f"hash-{n}", "base_model": BASE_MODEL, "vector": one_hot(n)} for n in range(3)
        ],
        "encoders": [
            {"encoder_id": "enc1", "as_of": AS_OF, "artefact": "_artefacts/encoders/enc1", "base_model": BASE_MODEL,
             "text_version": "2", "dimensions": 8, "config_digest": "c", "pair_count": 2, "data_versions": [], "metrics": [],
             "settings": EncodersConfig().model_dump_json(), "verdict": "first", "reasons": ["there is no encoder yet"],
             "ndcg_difference": None, "ndcg_low": None, "ndcg_high": None},
        ],
        "persona_vectors": [
            {"encoder_id": "enc1", "persona_id": row["persona_id"], "item_id": row["item_id"], "text_hash": "h",
             "profile_hash": "p", "vector": one_hot(n)}
            for n, row in enumerate(personas)
        ],
        "user_vectors": [
            {"encoder_id": "enc1", "user_id": user, "interactions": [], "inputs_hash": "h", "vector": one_hot(n)}
            for n, user in enumerate(users)
        ],
        "user_item_topk": [
            _recommendation(user, rank, next(row for row in personas if row["item_id"] == item))
            for user, recommended in _LISTS.items()
            for rank, item in enumerate(recommended, start=1)
        ],
        "default_topk": [
            {"rank": rank, "item_id": row["item_id"], "item_title": TITLES[row["item_id"]], "score": 1.0 / rank,
             "persona_id": row["persona_id"], "persona_name": row["name"], "explanation": "Liked by most.",
             "evidence": row["evidence"], "recommendation_source": "default", "encoder_id": "enc1",
             "changed_as_of": AS_OF}
            for rank, row in enumerate([personas[0], personas[2]], start=1)
        ],
    }  # fmt: skip


def _personas(texts: Mapping[str, str]) -> list[Row]:
    rows: list[Row] = []
    for n, (item, name, user, quote) in enumerate(_PERSONAS, start=1):
        place = 1 + sum(row["item_id"] == item for row in rows)
        rows.append(
            {"persona_id": f"{item}-{n}", "item_id": item, "status": "current", "position": place, "name": name,
             "description": f"{name} who know what they want.", "preference_rationale": f"It suits {name.lower()}.",
             "evidence": [span(texts[f"{user}-{item}"], quote, f"{user}-{item}")], "support": 1, "mean_rating": 5.0,
             "persona_source": "embedded", "stance": "likes", "topic": None, "request_key": None, "extraction_key": "k",
             "extractor_version": "embedded-1",
             "extracted_from": [f"{user}-{item}"], "first_as_of": AS_OF, "retired_as_of": None}
        )  # fmt: skip
    return rows


def _recommendation(user: str, rank: int, persona: Row) -> Row:
    return {
        "user_id": user, "rank": rank, "item_id": persona["item_id"], "item_title": TITLES[persona["item_id"]],
        "score": 0.7 - 0.1 * rank, "persona_id": persona["persona_id"], "persona_name": persona["name"],
        "explanation": f"{persona['name']}: {persona['preference_rationale']}", "evidence": persona["evidence"],
        "contributions": [
            {"kind": "interaction", "review_id": f"{user}-strap", "item_id": "strap", "share": 0.5 - 0.1 * rank},
            {"kind": "popularity", "review_id": None, "item_id": None, "share": 0.2},
        ],
        "recommendation_source": "persona", "encoder_id": "enc1", "changed_as_of": AS_OF, "user_bucket": 0,
    }  # fmt: skip
