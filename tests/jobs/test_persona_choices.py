"""The job `persona_choices` on the shop, in a run: it reads what its contract says, and without a judge its table is empty."""

from collections.abc import Sequence

import pytest
from fixture_engine import FixtureBackend, honest
from helpers import Row, put, shop, span
from one_run import kept, opened, without, written

from persona_pipeline.extract import extractors
from persona_pipeline.warehouse import Warehouse

JUDGED = {"extractor": "vllm", "llm": {"judged_pairs": 10}}


def of_the_capo() -> Sequence[Row]:
    """Two personas, neither of which rests on ben, who liked it; one says what he said."""
    texts = {row["review_id"]: row["text"] for row in shop()["reviews"]}
    persona = next(row for row in shop()["item_personas"] if row["item_id"] == "capo")
    quiet, quick = ("Buzz haters want no buzz.", "cleo-capo"), ("Moved with one hand between songs.", "dan-picks")
    return [
        {**persona, "persona_id": f"capo-{n}", "position": n, "description": description, "name": f"Type {n}",
         "evidence": [span(texts[review], texts[review][:9], review)]}
        for n, (description, review) in enumerate([quiet, quick], start=1)
    ]  # fmt: skip


def test_a_pair_is_given_the_persona_that_says_what_they_said(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractors, "_backend", lambda _: FixtureBackend(honest))
    put(warehouse, "item_personas", of_the_capo())
    run = opened(without(warehouse, "persona_choices"), extraction=JUDGED)
    summary = run.do("persona_choices")
    # Cleo's own words are all there is to the first, so that she has no choice.
    assert (summary["pairs"], summary["extracted"], summary["refused"]) == (1, 1, 0)
    assert written(summary) == {"quarantine": (0, 0, 0), "persona_choices": (1, 0, 0)}
    (row,) = kept(warehouse, "persona_choices")
    assert (row["user_id"], row["item_id"], row["review_id"]) == ("ben", "capo", "ben-capo")
    assert (row["persona_id"], row["reasoning"]) == ("capo-2", "Their own words are those of persona 2.")
    assert [call["request_key"] for call in kept(warehouse, "llm_calls")] == [row["request_key"]]
    again = run.again("persona_choices")
    assert (again["extracted"], again["llm"]["asked"]) == (0, 0)


def test_without_a_judge_what_was_chosen_goes(warehouse: Warehouse) -> None:
    run = opened(warehouse)
    summary = run.do("persona_choices")
    assert (summary["pairs"], summary["extracted"]) == (0, 0)
    assert written(summary)["persona_choices"] == (0, 0, 1)
    assert kept(warehouse, "persona_choices") == []
    run.again("persona_choices")
