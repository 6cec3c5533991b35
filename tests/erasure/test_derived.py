"""What was made from the words of several people, told again without one of them: by hand."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from helpers import arrow, shop

from persona_pipeline.contracts import load_contract
from persona_pipeline.erasure.derived import RULES
from persona_pipeline.erasure.mentions import Mentions
from persona_pipeline.erasure.rows import TableChange
from persona_pipeline.erasure.traces import Review, Traces

Row = dict[str, Any]
WHEN = datetime(2024, 6, 9, tzinfo=UTC)
TRACES = Traces(
    date(2024, 7, 1),
    frozenset(["ben"]),
    {"b1": Review("capo", 2.0, WHEN), "b2": None},
    Mentions.of(["ben"], ["One hand is enough to move it between songs."]),
    retired=frozenset(["gone"]),
    rewritten={"other": "Players"},
    untitled={"capo": ("A capo",)},
)


def span(ref: str, quote: str) -> Row:
    return {"kind": "review", "ref": ref, "start": 0, "end": len(quote), "quote": quote}


ANAS, BENS = span("a1", "Holds every string"), span("b1", "One hand is enough")
SHARES = [
    {"kind": "popularity", "share": 0.1},
    {"kind": "interaction", "share": 0.5},
    {"kind": "other_personas", "share": 0.2},
]


def listed(persona: str, evidence: list[Row], explanation: str) -> Row:
    return {
        "persona_id": persona, "persona_name": "Quick changers", "item_id": "capo", "item_title": "Capo", "evidence": evidence,
        "explanation": explanation, "contributions": SHARES,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("persona", "evidence", "before", "after"),
    [
        (
            "stays",
            [ANAS, BENS],
            "It moves fast: “Holds every string” “One hand is enough”",
            "It moves fast: “Holds every string”",
        ),
        (
            "stays",
            [BENS, ANAS],
            "It moves fast: “One hand is enough” “Holds every string”",
            "It moves fast: “Holds every string”",
        ),
        ("stays", [BENS], "It moves fast: “One hand is enough”", "It is close to what you have chosen before."),
        (
            "stays",
            [BENS, ANAS],
            "Many people choose it. Reviewers write: “One hand is enough” “Holds every string” You wrote the same of “Strap”.",
            "Many people choose it. Reviewers write: “Holds every string” You wrote the same of “Strap”.",
        ),
        ("gone", [BENS], "It moves fast: “One hand is enough”", "It is close to what you have chosen before."),
        (
            "other",
            [BENS, ANAS],
            "Said so: “One hand is enough” “Holds every string” You wrote the same of “Strap”.",
            "It is close to what you have chosen before. “Holds every string” You wrote the same of “Strap”.",
        ),
        ("stays", [ANAS], "It moves fast: “Holds every string”", "It moves fast: “Holds every string”"),
    ],
)
def test_an_explanation_is_told_without_them(persona: str, evidence: list[Row], before: str, after: str) -> None:
    row = listed(persona, evidence, before)
    left = [one for one in evidence if one["ref"] != "b1"]
    told = RULES["user_item_topk"].cleaned(row, {**row, "evidence": left}, TRACES)
    assert told["explanation"] == after
    # Where nothing that was shown is anybody else's, neither is the name.
    assert told["persona_name"] == {"gone": "", "other": "Players", "stays": "Quick changers" if left else ""}[persona]
    assert told["item_title"] == "Capo"


def test_a_title_that_came_from_a_summary_goes_with_it() -> None:
    row = {**listed("stays", [ANAS], "It moves fast."), "item_title": "A capo"}
    assert RULES["user_item_topk"].cleaned(row, dict(row), TRACES)["item_title"] is None


def persona(status: str, evidence: list[Row], **other: Any) -> Row:
    return {
        "persona_id": "p", "item_id": "capo", "status": status, "position": 2, "name": "Quick changers", "description": "Quick.",
        "preference_rationale": "It moves fast.", "evidence": evidence, "topic": "hand", "support": 3, "mean_rating": 4.0,
        "request_key": "k", "extraction_key": "e", "extracted_from": ["a1", "b1"], "retired_as_of": None, **other,
    }  # fmt: skip


def cleaned(row: Row) -> Row:
    left = {**row, "evidence": [one for one in row["evidence"] if one["ref"] != "b1"], "extracted_from": ["a1"]}
    return RULES["item_personas"].cleaned(row, left, TRACES)


def test_support_and_stars_lose_their_share() -> None:
    row = cleaned(persona("current", [ANAS, BENS]))
    assert (row["support"], row["mean_rating"]) == (2, 5.0)  # (4 * 3 - 2) / 2
    assert (row["status"], row["name"], row["extraction_key"], row["extracted_from"]) == (
        "current",
        "Quick changers",
        "",
        [],
    )


def test_words_of_theirs_in_what_a_persona_says_go() -> None:
    row = cleaned(persona("current", [ANAS, BENS], description="One hand is enough to move it."))
    assert (row["description"], row["name"]) == ("", "Quick changers")


def test_one_that_was_retired_before_loses_its_text_and_keeps_its_date() -> None:
    row = cleaned(persona("retired", [BENS], retired_as_of=date(2024, 6, 1), position=0))
    assert (row["name"], row["evidence"], row["retired_as_of"]) == ("", [], date(2024, 6, 1))
    assert row["extracted_from"] == ["a1"]


def test_one_that_rests_on_metadata_is_made_anew_and_stays() -> None:
    metadata = {"kind": "metadata", "ref": "title", "start": 0, "end": 4, "quote": "Capo"}
    row = cleaned(persona("current", [metadata], support=0, mean_rating=None))
    assert (row["status"], row["support"], row["extraction_key"]) == ("current", 0, "")


def test_counts_of_an_item_know_only_what_was_there_by_then() -> None:
    evidence = [{"review_id": "a1", "reviewed_at": datetime(2024, 6, 1, tzinfo=UTC)}]
    row = {"item_id": "capo", "review_count": 3, "mean_rating": 4.0, "last_reviewed_at": WHEN, "evidence": evidence}
    after = RULES["item_reviews"].cleaned(row, dict(row), TRACES)
    assert (after["review_count"], after["mean_rating"]) == (2, 5.0)
    assert after["last_reviewed_at"] == datetime(2024, 6, 1, tzinfo=UTC)
    earlier = {**row, "last_reviewed_at": datetime(2024, 6, 1, tzinfo=UTC)}
    assert RULES["item_reviews"].cleaned(earlier, dict(earlier), TRACES) == earlier


def test_nothing_is_kept_of_records_that_could_not_be_read() -> None:
    rows = arrow("rejected_reviews", [{**shop()["rejected_reviews"][0], "source_line": n, "reason": reason, "detail": detail}
        for n, (reason, detail) in enumerate([("not_json", "{broken"), ("bad_rating", "9"), ("not_csv", None)])])  # fmt: skip
    change = TableChange(load_contract("rejected_reviews"), TRACES)
    goes, changes = change.marks(rows)
    assert goes.tolist() == [False] * 3
    assert changes.tolist() == [True, False, False]
    assert change.applied(rows)["detail"].to_pylist() == [None, "9", None]


def test_a_parsed_record_of_theirs_leaves_an_empty_one() -> None:
    ana, ben = (one for one in shop()["parsed_reviews"] if one["review_id"] in ("ana-strap", "ben-strap"))
    change = TableChange(load_contract("parsed_reviews"), TRACES)
    kept, empty = change.applied(arrow("parsed_reviews", [ana, ben])).to_pylist()
    assert kept == arrow("parsed_reviews", [ana]).to_pylist()[0]
    place = {name: ben[name] for name in ("parsed_in", "parsed_file", "source_line", "part")}
    assert empty == {**dict.fromkeys(ben), **place, "reason": "erased"}
    assert not any(marked.any() for marked in change.marks(arrow("parsed_reviews", [empty])))
