"""The job `review_aspects` on the shop: a row for every review there is evidence or history of, with or without aspects."""

import pytest
from fixture_engine import FixtureBackend, echo
from helpers import put, reviews
from one_run import kept, opened, without, written

from persona_pipeline.core.errors import TransientError
from persona_pipeline.extract import extractors
from persona_pipeline.runs.log import attempts
from persona_pipeline.warehouse import Warehouse

LLM = {"extractor": "vllm", "llm": {"method": "per_review"}}


def test_a_review_is_read_once(warehouse: Warehouse) -> None:
    run = opened(without(warehouse, "review_aspects"))
    summary = run.do("review_aspects")
    assert (summary["reviews"], summary["extracted"], summary["refused"]) == (10, 10, 0)
    assert written(summary) == {"quarantine": (0, 0, 0), "review_aspects": (10, 0, 0)}
    rows = kept(warehouse, "review_aspects")
    assert {row["review_id"] for row in rows} == {row["review_id"] for row in reviews()}
    assert {row["aspect_source"] for row in rows} == {"embedded"}
    assert run.again("review_aspects")["extracted"] == 0
    said = [{**row, "text": "Reads well."} if row["review_id"] == "cleo-tuner" else row for row in reviews()]
    put(warehouse, "reviews", said)
    assert opened(warehouse).do("review_aspects")["extracted"] == 1


@pytest.mark.parametrize("engine", [True, False])
def test_asked_of_an_llm_every_answer_is_on_record_or_the_task_waits(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, engine: bool
) -> None:
    monkeypatch.setattr(extractors, "_backend", lambda _: FixtureBackend(echo))
    run = opened(without(warehouse, "review_aspects"), extraction=LLM)
    if not engine:
        with pytest.raises(TransientError, match=r"10 of 10 requests got no answer .*clear extraction_plan"):
            run.do("review_aspects", engine=False)
        (one,) = attempts(warehouse)[run.run_id]
        assert (one.outcome, warehouse.exists("review_aspects")) == ("try_again", False)
        return
    summary = run.do("review_aspects")
    (capo,) = (row for row in kept(warehouse, "review_aspects") if row["review_id"] == "ben-capo")
    said = "One hand is enough to move it between songs"
    assert capo["quality_criteria"] == said
    (evidence,) = capo["evidence"]
    assert (evidence["aspect"], evidence["quote"], evidence["start"]) == ("quality_criteria", f"{said}.", 0)
    assert len(kept(warehouse, "llm_calls")) == summary["llm"]["asked"] == 10
    assert run.again("review_aspects")["llm"]["asked"] == 0
