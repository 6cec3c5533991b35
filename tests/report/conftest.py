"""A shop of two items on one small night: everything up to the candidates, written as the jobs would."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from report.shop import AS_OF, HOSTILE, SPAN, put, recommendation

from persona_pipeline.contracts import load_contract
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.warehouse import Warehouse


@pytest.fixture
def warehouse(built: Path, tmp_path: Path) -> Warehouse:
    """Everything up to the candidates; nothing published."""
    return Warehouse(shutil.copytree(built, tmp_path / "warehouse"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables, written once and copied for each test."""
    root = tmp_path_factory.mktemp("shop")
    found = Warehouse(root)
    at = datetime(2024, 6, 1, tzinfo=UTC)
    past = [{"review_id": f"r{n}", "item_id": "tin", "rating": 5.0 if n else 1.0, "reviewed_at": at} for n in range(2)]
    item: dict[str, Any] = {"creator": None, "categories": [], "description": None, "has_metadata": True}
    item |= {"available": True, "unavailable_reason": None}
    put(
        found,
        "items",
        [{"item_id": "tin", "title": f"Tin {HOSTILE}", **item}, {"item_id": "card", "title": None, **item}],
    )
    put(
        found,
        "item_summaries",
        [
            {
                "item_id": "card",
                "summary": "Paper card. More.",
                "summary_source": "metadata",
                "extraction_key": "k",
                "extractor_version": "v1",
            }
        ],
    )
    put(found, "item_personas", [
        {"persona_id": f"p{n}", "item_id": item, "status": "current", "position": 1, "name": f"Givers {HOSTILE}",
         "description": "d", "preference_rationale": "r", "evidence": [SPAN], "support": 1, "mean_rating": 5.0,
         "persona_source": source, "stance": "likes",
         "extraction_key": "k", "extractor_version": "v1", "extracted_from": [], "first_as_of": AS_OF, "retired_as_of": None}
        for n, (item, source) in enumerate([("tin", "embedded"), ("card", "metadata")])
    ])  # fmt: skip
    put(found, "user_histories", [
        {"user_id": f"u{n}", "interaction_count": n + 1, "interactions": past, "reviewed_item_ids": ["tin"]}
        for n in range(6)
    ])  # fmt: skip
    put(found, "rejected_reviews", [
        {"source_file": "f", "source_line": n, "part": 0, "input": "reviews", "reason": "not_json", "field": None,
         "detail": f"line {n} {HOSTILE}"}
        for n in range(1, 6)
    ])  # fmt: skip
    put(found, "encoders", [
        {"encoder_id": "enc1", "as_of": AS_OF, "artefact": "a", "base_model": "m", "text_version": "1", "dimensions": 8,
         "config_digest": "c", "pair_count": 9, "data_versions": [], "metrics": [{"name": "last_loss", "value": 1.5}],
         "settings": "{}", "verdict": "first", "reasons": [], "ndcg_difference": None, "ndcg_low": None, "ndcg_high": None}
    ])  # fmt: skip
    beside = staged_tables(found)
    put(beside, "user_item_topk", [recommendation(f"u{n}", 1) for n in range(5)])
    default = {**recommendation("", 1, "Best card"), "recommendation_source": "default"}
    put(beside, "default_topk", [{name: default[name] for name in load_contract("default_topk").names}])
    return root
