"""The job `extraction_shard` on the shop: its part of the answers, which the stages then find on record."""

from pathlib import Path

import pytest
from fixture_engine import FixtureBackend, echo
from one_run import OneRun, kept, opened, without

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.extract import extractors
from persona_pipeline.runs.log import attempts
from persona_pipeline.warehouse import Warehouse

MADE = ("review_aspects", "item_summaries", "item_personas")
TWO = {"method": "per_review", "shard_tokens": 1, "max_shards": 2}


@pytest.fixture
def run(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> OneRun:
    """A run before its plan."""
    monkeypatch.setattr(extractors, "_backend", lambda _: FixtureBackend(echo))
    given = {"extractor": "vllm", "reviews_per_persona": 1, "llm": TWO}
    return opened(without(warehouse, *MADE), extraction=given)


def test_shards_ask_what_was_planned_and_the_stages_nothing(warehouse: Warehouse, run: OneRun) -> None:
    plan = run.do("extraction_plan")
    shards = [run.do("extraction_shard", shard=n) for n in plan["shards"]]
    assert [summary["shard"] for summary in shards] == [0, 1]
    assert sorted(summary["items"] for summary in shards) == [2, 3]
    assert sum(summary["llm"]["asked"] for summary in shards) == plan["new_requests"] == 19
    calls = kept(warehouse, "llm_calls")
    assert len({row["request_key"] for row in calls}) == 19
    assert {row["model"] for row in calls} == {"fixture@1"}
    assert not any(warehouse.exists(table) for table in MADE)
    assert {(one.task, one.part) for one in attempts(warehouse)[run.run_id][1:]} == {
        ("extraction_shard", "0"),
        ("extraction_shard", "1"),
    }
    assert run.again("extraction_shard", shard=0)["llm"]["asked"] == 0
    for stage in MADE:
        assert run.do(stage, engine=False)["llm"]["asked"] == 0


def test_nothing_is_asked_about_ready_made_personas(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "personas.jsonl"
    file.write_text('{"item_id": "capo", "personas": []}\n')
    monkeypatch.setattr(extractors, "_backend", lambda _: FixtureBackend(echo))
    given = {"extractor": "vllm", "reviews_per_persona": 1, "llm": TWO, "published": str(file)}
    run = opened(without(warehouse, *MADE), extraction=given)
    plan = run.do("extraction_plan")
    assert plan["new_requests"] == 18
    assert sum(run.do("extraction_shard", shard=n)["llm"]["asked"] for n in plan["shards"]) == 18
    for stage in MADE:
        assert run.do(stage, engine=False)["llm"]["asked"] == 0
    assert not any(
        row["stage"] == "item_personas" and row["subject_id"] == "capo" for row in kept(warehouse, "llm_calls")
    )


def test_a_shard_that_was_not_planned_is_none(warehouse: Warehouse, run: OneRun) -> None:
    with pytest.raises(PipelineError, match=r"shard 0: .* run the extraction_plan task first"):
        run.do("extraction_shard", shard=0)
    run.do("extraction_plan")
    with pytest.raises(PipelineError, match=r"shard 7: .* has none of that number"):
        run.do("extraction_shard", shard=7)
