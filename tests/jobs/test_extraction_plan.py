"""The job `extraction_plan` on the shop: what would be asked, and which shard asks it."""

from collections import Counter
from typing import Any

import pytest
from fixture_engine import FixtureBackend, echo
from one_run import OneRun, kept, opened, without

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.extract import extractors
from persona_pipeline.warehouse import Warehouse

MADE = ("review_aspects", "item_summaries", "item_personas")


def tonight(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, **llm: Any) -> OneRun:
    monkeypatch.setattr(extractors, "_backend", lambda _: FixtureBackend(echo))
    settings = {"method": "per_review", "shard_tokens": 1, "max_shards": 2, **llm}
    given = {"extractor": "vllm", "reviews_per_persona": 1, "llm": settings}
    return opened(without(warehouse, *MADE), extraction=given)


def test_every_item_is_asked_about_by_one_shard(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tonight(warehouse, monkeypatch)
    plan = run.do("extraction_plan")
    # Ten reviews, five items with personas, and four with metadata to sum up.
    assert {stage: told["new"] for stage, told in plan["stages"].items()} == dict(zip(MADE, (10, 4, 5), strict=True))
    assert (plan["changed"], plan["new_requests"], plan["shards"]) == (20, 19, [0, 1])
    assert plan["prompt_tokens"] == sum(told["prompt_tokens"] for told in plan["stages"].values()) > 0
    shards = kept(warehouse, "extraction_plan")
    assert sum(row["tokens"] for row in shards) == plan["prompt_tokens"] + plan["reply_tokens"]
    assert sorted(row["item_id"] for row in shards) == ["capo", "picks", "strap", "strings", "tuner"]
    assert sorted(Counter(row["shard"] for row in shards).values()) == [2, 3]
    run.again("extraction_plan")
    assert not warehouse.exists("llm_calls")  # it asks nothing


def test_what_is_too_dear_is_refused_before_it_is_split(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tonight(warehouse, monkeypatch, token_ceiling=1_000)
    with pytest.raises(PipelineError, match=r"19 new requests of .* tokens.*token_ceiling \(1,000\)"):
        run.do("extraction_plan")
    assert not warehouse.exists("extraction_plan")
    assert "item_personas" in capsys.readouterr().err


def test_where_no_llm_extracts_there_is_nothing_to_plan(warehouse: Warehouse) -> None:
    summary = opened(warehouse).do("extraction_plan")
    assert summary["shards"] == []
    assert "new_requests" not in summary
    assert kept(warehouse, "extraction_plan") == []
