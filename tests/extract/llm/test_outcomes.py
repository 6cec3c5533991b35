"""Broken output of every kind has its typed outcome, and nothing broken is ok."""

import json

import pytest

from persona_pipeline.extract.llm.engine import Answer, FinishReason
from persona_pipeline.extract.llm.outcomes import judge
from persona_pipeline.extract.llm.replies import AspectsReply, PersonasReply

ASPECT = {"text": "as a gift", "sentences": [1]}
GOOD = {"category_preference": None, "purchase_purpose": ASPECT, "quality_criteria": None, "usage_context": None}


def outcome(text: str, finish: FinishReason = "stop") -> str:
    return judge(Answer("k", text, finish, 1, 1, "boom"), AspectsReply, {"sentences": 2})[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(GOOD), "ok"),
        (json.dumps(dict(reversed(GOOD.items()))), "ok"),  # order is nothing in JSON
        ("", "invalid_json"),
        ("I think this shopper wants a gift.", "invalid_json"),
        (json.dumps(GOOD)[:-9], "invalid_json"),
        (json.dumps(GOOD) + json.dumps(GOOD), "invalid_json"),
        (json.dumps(GOOD).replace("as a gift", "as a\x01gift"), "invalid_json"),
        (json.dumps(GOOD).replace("as a gift", "as a\ngift").replace("\\n", "\n"), "invalid_json"),
        (json.dumps(GOOD)[:-1] + ', "usage_context": null}', "invalid_json"),
        ("[]", "schema"),
        ("null", "schema"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "usage_context"}), "schema"),
        (json.dumps({**GOOD, "mood": None}), "schema"),
        (json.dumps({**GOOD, "purchase_purpose": "as a gift"}), "schema"),
        (json.dumps({**GOOD, "purchase_purpose": {"text": "as a gift", "sentences": [3]}}), "schema"),
        (json.dumps({**GOOD, "purchase_purpose": {"text": "as a gift", "sentences": [0]}}), "schema"),
        (json.dumps({**GOOD, "purchase_purpose": {"text": "as a gift", "sentences": []}}), "schema"),
        (json.dumps({**GOOD, "purchase_purpose": {"text": "as a gift", "sentences": ["1"]}}), "schema"),
        (json.dumps({**GOOD, "purchase_purpose": {"text": "   ", "sentences": [1]}}), "schema"),
        (json.dumps({**GOOD, "purchase_purpose": {"text": "x" * 121, "sentences": [1]}}), "schema"),
    ],
)
def test_each_reply_has_its_outcome(text: str, expected: str) -> None:
    assert outcome(text) == expected


def test_cut_off_is_truncated_even_where_it_could_be_read() -> None:
    assert outcome(json.dumps(GOOD), "length") == "truncated"
    assert outcome('{"category_preference":' + " " * 500, "length") == "truncated"


def test_an_error_is_no_answer() -> None:
    assert outcome("", "error") == "engine_error"


def test_a_sentence_cited_twice_counts_once() -> None:
    reply = {**GOOD, "purchase_purpose": {"text": "as a gift", "sentences": [2, 2, 1]}}
    _, _, value = judge(Answer("k", json.dumps(reply), "stop", 1, 1), AspectsReply, {"sentences": 2})
    assert isinstance(value, AspectsReply)
    assert value.purchase_purpose is not None
    assert value.purchase_purpose.sentences == [2, 1]


@pytest.mark.parametrize(("count", "expected"), [(0, "schema"), (1, "schema"), (2, "ok"), (3, "ok"), (4, "schema")])
def test_as_many_personas_as_asked(count: int, expected: str) -> None:
    persona = {
        "name": "Gift givers",
        "description": "They buy it for somebody else.",
        "preference_rationale": "It is welcome as a gift.",
        "sentences": [1],
    }
    text = json.dumps({"personas": [persona] * count})
    found, detail, _ = judge(Answer("k", text, "stop", 1, 1), PersonasReply, {"sentences": 1, "least": 2, "most": 3})
    assert found == expected
    assert (expected == "ok") == (detail == "")


def test_a_sentence_is_no_name() -> None:
    persona = {
        "name": "The mic is a great choice",
        "description": "They buy it for somebody else.",
        "preference_rationale": "It is welcome as a gift.",
        "sentences": [1],
    }
    answer = Answer("k", json.dumps({"personas": [persona]}), "stop", 1, 1)
    found, detail, _ = judge(answer, PersonasReply, {"sentences": 1, "least": 1, "most": 3})
    assert (found, "at most 4 words" in detail) == ("schema", True)
