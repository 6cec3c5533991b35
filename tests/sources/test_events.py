"""Events of files that people have: what each record becomes, and why it is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_pipeline.config import InteractionsConfig
from persona_pipeline.config.sources import EVENT_FIELDS
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import ConfigError, SourceError
from persona_pipeline.sources.adapters import of_interactions
from persona_pipeline.sources.events import EventSettings, event_batches, weight_of_stars
from persona_pipeline.sources.files import check_files, file_records
from persona_pipeline.sources.parsing import ParsingSettings
from persona_pipeline.sources.records import Record

MINE = {"weights": {"purchase": 1, "click": 0.2, "return": -1}}
GOOD = {"user_id": "ana", "item_id": "capo", "kind": "purchase", "timestamp": "2024-06-01T08:00:00Z"}


def parsed(path: Path, config: InteractionsConfig, source: str | None = None, **how: Any) -> list[dict[str, Any]]:
    adapter = of_interactions(source, config)
    settings = EventSettings.of(config, ParsingSettings(1_000, **how))
    (file,) = check_files(path, "interactions", adapter)
    return [row for batch in event_batches(file_records(file), adapter, settings) for row in batch.to_pylist()]


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_kind_weighs_what_the_configuration_says(tmp_path: Path) -> None:
    file = lines(
        tmp_path / "e.jsonl",
        GOOD,
        {**GOOD, "kind": "return"},
        {**GOOD, "weight": 0.5},
        {**GOOD, "interaction_id": 17.0, "timestamp": 1717228800},
    )
    bought, returned, own, named = parsed(file, InteractionsConfig(**MINE))
    assert [row["weight"] for row in (bought, returned, own, named)] == [1, -1, 0.5, 1]
    assert bought["occurred_at"] == named["occurred_at"]
    assert named["interaction_id"] == "event:17"
    assert bought["interaction_id"] == own["interaction_id"]  # the same user, item, time and kind
    assert bought["interaction_id"] != returned["interaction_id"]
    assert bought["interaction_id"].startswith("event:")


@pytest.mark.parametrize(
    ("wrong", "reason", "field", "detail"),
    [
        ({"user_id": None}, "missing_user_id", "user_id", None),
        ({"item_id": ["a"]}, "bad_item_id", "item_id", "a list where one value was expected"),
        ({"timestamp": "yesterday"}, "bad_timestamp", "timestamp", "yesterday"),
        ({"timestamp": ""}, "missing_timestamp", "timestamp", None),
        ({"kind": "shrug"}, "unknown_kind", "kind", "shrug"),
        ({"kind": None}, "unknown_kind", "kind", "event"),
        ({"kind": "x" * 101}, "bad_kind", "kind", "x" * 101),
        ({"weight": "much"}, "bad_weight", "weight", "much"),
        ({"weight": 1.5}, "bad_weight", "weight", "1.5"),
        ({"interaction_id": [1]}, "bad_interaction_id", "interaction_id", "a list where one value was expected"),
        ({"interaction_id": "\ud83d"}, "bad_interaction_id", "interaction_id", "half of a surrogate pair"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_field(
    tmp_path: Path, wrong: dict[str, Any], reason: str, field: str, detail: str | None
) -> None:
    good, bad = parsed(lines(tmp_path / "e.jsonl", GOOD, {**GOOD, **wrong}), InteractionsConfig(**MINE))
    assert good["reason"] is None
    assert (bad["reason"], bad["field"], bad["detail"]) == (reason, field, detail)
    assert (bad["source_line"], bad["user_id"], bad["interaction_id"]) == (2, None, None)


def test_any_other_kind_may_have_a_weight_too(tmp_path: Path) -> None:
    file = lines(tmp_path / "e.jsonl", {**GOOD, "kind": "shrug"})
    (row,) = parsed(file, InteractionsConfig(**MINE, default_weight=0.1))
    assert (row["kind"], row["weight"]) == ("shrug", 0.1)


def test_lines_without_a_kind_are_events_and_weigh_one(tmp_path: Path) -> None:
    file = lines(tmp_path / "e.jsonl", {name: GOOD[name] for name in ("user_id", "item_id", "timestamp")})
    (row,) = parsed(file, InteractionsConfig())
    assert (row["kind"], row["weight"]) == ("event", 1.0)


def test_names_of_the_file_are_configured(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("who;what;did;at\nana;capo;purchase;01.06.2024\nben;picks;click;02.06.2024\n")
    names = {"user_id": "who", "item_id": "what", "kind": "did", "timestamp": "at"}
    with pytest.raises(SourceError, match=r"log\.csv: interactions .* Say which they are in interactions\.columns"):
        parsed(tmp_path / "log.csv", InteractionsConfig())
    config = InteractionsConfig(**MINE, columns=names, time_format="%d.%m.%Y")
    rows = parsed(tmp_path / "log.csv", config)
    assert [(row["user_id"], row["item_id"], row["weight"]) for row in rows] == [
        ("ana", "capo", 1),
        ("ben", "picks", 0.2),
    ]
    assert rows[0]["occurred_at"].date().isoformat() == "2024-06-01"
    with pytest.raises(SourceError, match=r"this is a CSV"):
        parsed(tmp_path / "log.csv", InteractionsConfig(**MINE, columns=names, source="jsonl"))


def test_ratings_of_films_are_events_that_like_or_dislike(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,10,5.0,964982703\n1,11,2.0,964982704\n")
    with pytest.raises(SourceError, match=r"These are the keys of interactions\.source: movielens"):
        parsed(tmp_path / "ratings.csv", InteractionsConfig())
    for config, source in ((InteractionsConfig(), "movielens"), (InteractionsConfig(source="movielens"), "jsonl")):
        loved, hated = parsed(tmp_path / "ratings.csv", config, source)
        assert (loved["user_id"], loved["item_id"], loved["kind"], loved["weight"]) == ("1", "10", "rating", 1.0)
        assert hated["weight"] == -0.5
    with pytest.raises(ConfigError, match=r"interactions\.source: yelp has no events; there are csv, jsonl, movielens"):
        of_interactions(None, InteractionsConfig(source="yelp"))


@pytest.mark.parametrize(("stars", "weight"), [(5, 1), (4, 0.8), (2.5, 0.5), (2, -0.5), (1, -1)])
def test_stars_weigh(stars: float, weight: float) -> None:
    assert weight_of_stars(stars) == pytest.approx(weight)


def test_users_are_named_as_reviewers_are_and_who_was_erased_leaves_nothing(tmp_path: Path) -> None:
    file = lines(tmp_path / "e.jsonl", GOOD, {**GOOD, "user_id": "eve"})
    rows = parsed(file, InteractionsConfig(**MINE), user_name=str.upper, erased=lambda user: user == "EVE")
    assert [(row["user_id"], row["reason"]) for row in rows] == [("ANA", None), (None, "erased")]
    assert rows[1]["detail"] is None


def test_nothing_is_shown_of_a_line_that_cannot_be_read_where_users_have_pseudonyms(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    file.write_text(json.dumps(GOOD) + '\n{"user_id": "max.mustermann", "item_id": "i", "rat\n')
    assert [row["detail"] for row in parsed(file, InteractionsConfig(**MINE), user_name=str.upper)] == [None, None]
    assert "max.mustermann" in parsed(file, InteractionsConfig(**MINE))[1]["detail"]


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.sampled_from(["ana", "capo", "purchase", "2024-06-01", "1717228800", 0.5, -1, "\ud83d", "a\udc00"]),
)  # fmt: skip

# Of a good line with few odd fields, so that each field is reached.
LINE = st.builds(
    lambda whole, odd: {**whole, **odd},
    st.sampled_from([{}, GOOD]),
    st.dictionaries(st.sampled_from(EVENT_FIELDS), JUNK, max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LINE, max_size=4), st.sampled_from(["", "movielens"]))
def test_any_line_is_an_event_or_a_refusal_with_a_reason(rows: list[dict[str, Any]], source: str) -> None:
    config = InteractionsConfig(**MINE, source=source)
    read = [Record(line, 0, row) for line, row in enumerate(rows, start=1)]
    found = [
        row
        for batch in event_batches(
            read, of_interactions(None, config), EventSettings.of(config, ParsingSettings(1_000))
        )
        for row in batch.to_pylist()
    ]
    assert [row["source_line"] for row in found] == [record.line for record in read]
    for row in found:
        if row["reason"] is None:
            assert None not in (row["interaction_id"], row["user_id"], row["item_id"], row["occurred_at"])
            assert -1 <= row["weight"] <= 1
        else:
            assert row["reason"] in load_contract("rejected_interactions").columns[3].description
            assert row["interaction_id"] is None
