"""Broken output of every kind has its typed outcome, and nothing broken is ok."""

import json

import pytest

from persona_pipeline.extract.llm.engines.engine import Answer, FinishReason
from persona_pipeline.extract.llm.outcomes import outcome_of
from persona_pipeline.extract.llm.response_models import AspectsResponse, PersonasResponse, output_schema

ASPECT = {"sentences": [1], "aspect": "purchase_purpose", "text": "as a gift"}
GOOD = {"aspects": [ASPECT]}
PERSONA: dict[str, object] = {
    "sentences": [1],
    "stance": "likes",
    "description": "They buy it for somebody else.",
    "preference_rationale": "It is welcome as a gift.",
    "name": "Gift givers",
}


def with_(**values: object) -> str:
    return json.dumps({"aspects": [{**ASPECT, **values}]})


def outcome(text: str, finish: FinishReason = "stop") -> str:
    schema = output_schema("review_aspects", {"sentences": 2})
    return outcome_of(Answer("k", text, finish, 1, 1, "boom"), AspectsResponse, schema, {"sentences": 2})[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(GOOD), "ok"),
        (json.dumps({"aspects": [dict(reversed(ASPECT.items()))]}), "ok"),  # order is nothing in JSON
        ("", "invalid_json"),
        ("I think this shopper wants a gift.", "invalid_json"),
        (json.dumps(GOOD)[:-9], "invalid_json"),
        (json.dumps(GOOD) + json.dumps(GOOD), "invalid_json"),
        (json.dumps(GOOD).replace("as a gift", "as a\x01gift"), "invalid_json"),
        (json.dumps(GOOD).replace("as a gift", "as a\ngift").replace("\\n", "\n"), "invalid_json"),
        (json.dumps(GOOD)[:-1] + ', "aspects": []}', "invalid_json"),
        ("[]", "schema"),
        ("null", "schema"),
        ("{}", "schema"),
        (json.dumps({"aspects": None}), "schema"),
        (json.dumps({"aspects": []}), "schema"),  # nothing is no way out
        (json.dumps({"aspects": [ASPECT] * 5}), "schema"),
        (json.dumps({**GOOD, "mood": None}), "schema"),
        (json.dumps({"aspects": ["as a gift"]}), "schema"),
        (with_(aspect="mood"), "schema"),
        (with_(sentences=[3]), "schema"),
        (with_(sentences=[0]), "schema"),
        (with_(sentences=[]), "schema"),
        (with_(sentences=["1"]), "schema"),
        (with_(text="   "), "schema"),
        (with_(text="x" * 121), "schema"),  # no grammar would have let it
        (with_(text="x" * 119), "ok"),
        (with_(text="x" * 120), "truncated"),  # the grammar ended it
    ],
)
def test_each_reply_has_its_outcome(text: str, expected: str) -> None:
    assert outcome(text) == expected


def test_cut_off_is_truncated_even_where_it_could_be_read() -> None:
    assert outcome(json.dumps(GOOD), "length") == "truncated"
    assert outcome('{"aspects":' + " " * 500, "length") == "truncated"


def test_an_error_is_no_answer() -> None:
    assert outcome("", "error") == "engine_error"


def test_a_sentence_cited_twice_counts_once() -> None:
    schema = output_schema("review_aspects", {"sentences": 2})
    _, _, value = outcome_of(
        Answer("k", with_(sentences=[2, 2, 1]), "stop", 1, 1), AspectsResponse, schema, {"sentences": 2}
    )
    assert isinstance(value, AspectsResponse)
    assert value.aspects[0].sentences == [2, 1]


def personas(*said: dict[str, object]) -> tuple[str, str]:
    bounds = {"sentences": 1, "least": 1, "most": 3}
    answer = Answer("k", json.dumps({"personas": said}), "stop", 1, 1)
    return outcome_of(answer, PersonasResponse, output_schema("item_personas", bounds), bounds)[:2]


@pytest.mark.parametrize(("count", "expected"), [(0, "schema"), (1, "ok"), (3, "ok"), (4, "schema")])
def test_as_many_personas_as_asked(count: int, expected: str) -> None:
    found, detail = personas(*[PERSONA] * count)
    assert found == expected
    assert (expected == "ok") == (detail == "")


def test_a_sentence_is_no_name() -> None:
    found, detail = personas({**PERSONA, "name": "The mic is a great choice"})
    assert (found, "at most 4 words" in detail) == ("schema", True)


def test_a_text_cut_in_mid_word_is_truncated_wherever_it_stands() -> None:
    found, detail = personas(PERSONA, {**PERSONA, "description": ("They want it " * 50)[:500]})
    assert found == "truncated"
    assert "ends where it had to" in detail
