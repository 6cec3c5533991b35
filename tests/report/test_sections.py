"""What each section is made from: the night's attempt, the flow, refusals, the users chosen."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from report.shop import SCORE, SUMMARIES, put, recommendation, release

from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.report import sampled_users, verdict
from persona_pipeline.report.flow import STAGES, count_rows, flow, run_counts
from persona_pipeline.report.refusals import languages, refused_input
from persona_pipeline.report.tables import RunTables
from persona_pipeline.report.users import users
from persona_pipeline.report.verdict import reasons
from persona_pipeline.warehouse import Warehouse


def test_flow_tells_reused_from_redone_and_names_what_did_not_run(warehouse: Warehouse) -> None:
    row = release("refused", ["x"], {})
    tables = RunTables(warehouse, row)
    lines = {line.stage: line for line in flow(SUMMARIES, count_rows(tables), row)}
    assert list(lines) == [stage.name for stage in STAGES]
    aspects = lines["review_aspects"]
    assert (aspects.redone, aspects.reused, aspects.inserted, aspects.seconds) == ("4 reviews", "6 reviews", 4, 61.0)
    assert lines["reviews"].rows_in == [("review lines", 11)]
    assert lines["user_item_topk"].rows_out == [("user_item_topk", 5)]  # the candidate's
    assert (lines["releases"].ran, lines["releases"].redone, lines["encoders"].ran) == (True, "refused", False)


def test_the_summary_of_another_attempt_and_the_reports_own_are_left_out() -> None:
    summaries = {"reviews": {}, "report": {}, "releases": {"release_id": "another"}}
    row = release("refused", ["x"], {})
    assert list(run_counts(summaries, row)) == ["reviews"]
    assert list(run_counts({**summaries, "releases": {"release_id": row["release_id"]}}, row)) == [
        "reviews",
        "releases",
    ]


def test_three_examples_of_each_refusal(warehouse: Warehouse) -> None:
    (refusal,) = refused_input(RunTables(warehouse, release("refused", [], {})))
    assert (refusal.subject, refusal.reason, refusal.count, refusal.fault) == ("reviews", "not_json", 5, True)
    assert [place for place, _ in refusal.examples] == ["f, line 1", "f, line 2", "f, line 3"]


def test_languages_are_told_by_their_share(warehouse: Warehouse) -> None:
    row = {
        "user_id": "u",
        "item_id": "tin",
        "rating": 5.0,
        "title": None,
        "reviewed_at": datetime(2024, 6, 1, tzinfo=UTC),
    }
    told = [("en", "Fine."), ("en", "Fine."), ("de", "Gut."), (None, "Ok"), (None, "")]
    put(warehouse, "reviews", [
        {**row, "review_id": f"r{n}", "language": language, "text": text, "source_file": "f", "source_line": n + 1}
        for n, (language, text) in enumerate(told)
    ])  # fmt: skip
    found = languages(RunTables(warehouse, release("refused", [], {})))
    assert found == [("en", 0.5), ("de", 0.25)]


def test_users_with_most_and_fewest_interactions_are_among_the_chosen(warehouse: Warehouse) -> None:
    row = release("refused", [], {})
    chosen = sampled_users(warehouse, row, 3)
    assert (chosen[0], chosen[-1]) == ("u4", "u0")  # u5 has the longest history, but no list
    assert max(Counter(sampled_users(warehouse, row, 10)).values()) == 1
    assert sorted(sampled_users(warehouse, row, 10)) == ["u0", "u1", "u2", "u3", "u4"]


def test_a_user_carries_history_and_scores(warehouse: Warehouse) -> None:
    put(staged_tables(warehouse), "user_item_topk", [recommendation("u1", rank) for rank in range(1, 8)])
    (user,) = users(RunTables(warehouse, release("refused", [], {})), ["u1"], 4.0)
    assert [past["liked"] for past in user["history"]] == [False, True]
    assert [pick["rank"] for pick in user["recommendations"]] == [1, 2, 3, 4, 5]
    assert sum(part.share for part in user["recommendations"][0]["segments"]) == pytest.approx(SCORE)


def test_a_reason_worded_otherwise_is_told_as_it_is() -> None:
    (reason,) = reasons(release("refused", ["the audit did not run"], {}))
    assert (reason.text, reason.measure) == ("the audit did not run", "")


def test_the_settings_a_night_chose_itself_are_told_apart() -> None:
    assert verdict._chosen('{"tuned": ["half_life"], "half_life": 5.0, "steps": 100}') == {"half_life": 5.0}
    assert verdict._chosen("{}") == {}  # of a version that chose none


def test_a_history_tells_of_events_by_their_kind(warehouse: Warehouse) -> None:
    (row,) = warehouse.read("user_histories", where="user_id = 'u1'").to_pylist()
    event = {**row["interactions"][0], "interaction_id": "event:1", "review_id": None, "rating": None, "kind": "play"}
    events = [{**event, "weight": weight} for weight in (1.0, -1.0)]
    put(warehouse, "user_histories", [{**row, "interactions": [*row["interactions"], *events]}])
    (user,) = users(RunTables(warehouse, release("refused", [], {})), ["u1"], 4.0)
    assert [(past["kind"], past["rating"], past["liked"]) for past in user["history"]][-2:] == [
        ("play", None, True), ("play", None, False)
    ]  # fmt: skip
