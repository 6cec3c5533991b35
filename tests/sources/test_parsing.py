"""A record becomes a row, or a refusal with its reason, the field and what stands there."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from reading import REVIEW, Row, lines, read, refusals, rows, write

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.sources.adapters import adapter, configured
from persona_pipeline.sources.erased import Erased
from persona_pipeline.sources.parsing import (
    BATCH,
    ITEM_SCHEMA,
    REVIEW_SCHEMA,
    ParsingSettings,
    item_batches,
    review_batches,
)
from persona_pipeline.sources.records import Fault, Record

MISSING = object()


def parse(fields: Any, source: str = "jsonl", settings: ParsingSettings | None = None, **config: Any) -> Row:
    """The row of one record."""
    known = configured(source, ReviewsConfig(**config))
    (batch,) = review_batches([Record(1, 0, fields)], known, settings or ParsingSettings(8_000))
    found: Row = batch.to_pylist()[0]
    return found


def changed(**fields: Any) -> Row:
    """A good review with other fields; what is MISSING is left out."""
    return {key: value for key, value in {**REVIEW, **fields}.items() if value is not MISSING}


REFUSED: list[tuple[Row, str, str, str | None]] = [
    (changed(user_id=MISSING), "missing_user_id", "user_id", None),
    (changed(user_id=" NaN "), "missing_user_id", "user_id", None),
    (changed(user_id=["u1"]), "bad_user_id", "user_id", "a list where one value was expected"),
    (changed(user_id={"id": 1}), "bad_user_id", "user_id", "an object where one value was expected"),
    (changed(user_id=True), "bad_user_id", "user_id", "true or false where one value was expected"),
    (changed(user_id="\ud83d"), "bad_user_id", "user_id", "half of a surrogate pair"),
    (changed(item_id=None), "missing_item_id", "item_id", None),
    (changed(item_id=[]), "missing_item_id", "item_id", None),
    (changed(item_id=[1]), "bad_item_id", "item_id", "a list where one value was expected"),
    (changed(rating=""), "missing_rating", "rating", None),
    (changed(rating="\\N"), "missing_rating", "rating", None),
    (changed(rating="five"), "bad_rating", "rating", "five"),
    (changed(rating="0"), "bad_rating", "rating", "0"),
    (changed(rating="5.1"), "bad_rating", "rating", "5.1"),
    (changed(rating="-0"), "bad_rating", "rating", "-0"),
    (changed(rating="Infinity"), "bad_rating", "rating", "Infinity"),
    (changed(rating=True), "bad_rating", "rating", "true or false where one value was expected"),
    (changed(timestamp=None), "missing_timestamp", "timestamp", None),
    (changed(timestamp="soon"), "bad_timestamp", "timestamp", "soon"),
    (changed(timestamp="13/09/2018"), "bad_timestamp", "timestamp", "13/09/2018"),
    (changed(timestamp="0"), "bad_timestamp", "timestamp", "0"),
    (changed(timestamp="1969-12-31"), "bad_timestamp", "timestamp", "1969-12-31"),
    (changed(timestamp={"t": 1}), "bad_timestamp", "timestamp", "an object where one value was expected"),
]


@pytest.mark.parametrize(("fields", "reason", "field", "detail"), REFUSED)
def test_a_refusal_names_field_and_value(fields: Row, reason: str, field: str, detail: str | None) -> None:
    row = parse(fields)
    assert (row["reason"], row["field"], row["detail"]) == (reason, field, detail)
    assert all(row[name] is None for name in REVIEW_SCHEMA.names[5:])


def test_a_record_that_cannot_be_read_shows_its_beginning() -> None:
    row = parse(Fault("not_json", "{broken " + "x" * 1_000))
    assert (row["reason"], row["field"], len(row["detail"])) == ("not_json", None, 200)
    assert row["detail"].startswith("{broken x")


def test_nothing_of_a_broken_record_is_shown_once_somebody_was_erased() -> None:
    erased = Erased(str, frozenset(["ANNA12345"]))
    row = parse(Fault("not_json", '{"text": "' + "so sad " * 100), settings=ParsingSettings(8_000, erased=erased))
    assert (row["reason"], row["detail"]) == ("not_json", None)


def test_what_is_shown_of_a_refusal_can_be_written_down() -> None:
    assert parse(changed(rating="\ud83d" * 300))["detail"] == "?" * 200


def test_what_is_shown_of_a_refusal_ends_before_a_number_that_was_cut() -> None:
    """Masks are shorter than what they hide, so that the end of what was looked at comes into what is shown."""
    addresses = ", ".join(f"somebody.with.a.long.name.{n}@mail.example.com" for n in range(10, 26))
    before = addresses.ljust(785, ",")
    shown = parse(changed(rating=f"{before} DE89 3704 0044 0532 0130 00 and on"))["detail"]
    assert "DE89" not in shown
    assert "@" not in shown


def test_a_good_record() -> None:
    row = parse({**REVIEW, "review_id": 17, "title": "<b>Good</b> &amp; loud", "text": "  One\n two&hellip; "})
    assert row["reviewed_at"].isoformat() == "2024-06-10T06:13:20+00:00"
    del row["reviewed_at"], row["language"], row["says"]
    assert row == {
        "source_line": 1, "part": 0, "reason": None, "field": None, "detail": None, "review_id": "17", "user_id": "u1",
        "item_id": "i1", "rating": 5.0, "title": "Good & loud", "text": "One two…",
    }  # fmt: skip


def test_records_that_say_the_same_are_told_by_a_hash() -> None:
    said = [parse(changed(**other))["says"] for other in ({}, {"review_id": "another"}, {"user_id": "another"})]
    assert len(set(said)) == 1
    others: list[Row] = [{"rating": 2}, {"title": "Another"}, {"text": "Another."}, {"timestamp": 1_700_000_000}]
    assert len({*said, *(parse(changed(**other))["says"] for other in others)}) == 1 + len(others)
    assert (
        parse({**REVIEW, "title": "One", "text": "two"})["says"]
        != parse({**REVIEW, "title": "", "text": "Onetwo"})["says"]
    )


@pytest.mark.parametrize("nothing", [None, "", " ", "NaN", float("nan"), [], ["", None], {}, {"a": []}])
def test_a_field_is_looked_for_under_the_next_key_where_the_first_holds_nothing(nothing: Any) -> None:
    amazon = {"reviewerID": "A", "asin": "B", "overall": 5, "unixReviewTime": nothing, "reviewTime": "09 13, 2018"}
    assert f"{parse(amazon, 'amazon2018')['reviewed_at']:%Y-%m-%d}" == "2018-09-13"
    assert parse({**REVIEW, "parent_asin": nothing, "asin": "B1"}, "amazon2023")["item_id"] == "B1"
    titled = parse({**REVIEW, "review_text": nothing, "review_title": "Loud"}, "persona4rec")
    assert (titled["title"], titled["text"]) == ("Loud", "Loud")
    item = {"asin": "B", "title": "Capo", "description": nothing, "feature": ["Holds."]}
    (batch,) = item_batches([Record(1, 0, item)], adapter("amazon2018"), ParsingSettings(8_000))
    assert batch.to_pylist()[0]["description"] == "Holds."
    assert adapter("amazon2018").absent("items", [{"asin": nothing}]) == ["asin"]


@pytest.mark.parametrize("own", [None, "", "NaN", ["r1"], {"a": 1}, True, "\ud83d", MISSING])
def test_without_an_id_of_its_own_a_review_is_named_by_what_it_says(own: Any) -> None:
    parts = ("u1", "i1", "2024-06-10 06:13:20", "Bright tone.")
    digest = hashlib.sha256("\u001f".join(parts).encode()).hexdigest()[:16]
    assert parse(changed(review_id=own))["review_id"] == digest


def test_a_name_by_what_it_says_knows_fractions_of_seconds_and_texts_that_are_not_there() -> None:
    parts = ("u1", "i1", "2024-06-10 06:13:20.5")
    digest = hashlib.sha256("\u001f".join(parts).encode()).hexdigest()[:16]
    assert parse(changed(text=None, timestamp="2024-06-10T06:13:20.500Z"))["review_id"] == digest


def test_nothing_is_shown_of_a_record_that_cannot_be_read_where_users_have_pseudonyms() -> None:
    line = '{"user_id": "max.mustermann", "item_id": "i", "rat'
    for batches, schema in ((review_batches, REVIEW_SCHEMA), (item_batches, ITEM_SCHEMA)):
        for user_name, shown in ((None, line), (str.upper, None)):
            (batch,) = batches(
                [Record(1, 0, Fault("not_json", line))], adapter("jsonl"), ParsingSettings(100, user_name)
            )
            assert batch.schema == schema
            assert batch.to_pylist()[0]["detail"] == shown


def test_ids_however_they_are_written() -> None:
    written = [7, 7.0, "7", "7.0", {"$numberLong": "7"}, {"$oid": "7"}]
    assert {parse(changed(user_id=value))["user_id"] for value in written} == {"7"}
    assert [parse(changed(item_id=value))["item_id"] for value in ("007", "a b", " x ", "ü")] == [
        "007",
        "a b",
        "x",
        "ü",
    ]


@pytest.mark.parametrize("value", [5, "5", "5.0", 5.0, " 5 ", "+5", "5e0", {"$numberDouble": "5.0"}])
def test_five_stars(value: Any) -> None:
    assert parse(changed(rating=value))["rating"] == 5


def test_another_scale_is_taken_to_one_to_five() -> None:
    found = [parse(changed(rating=value), rating_scale=(1, 10))["rating"] for value in (1, 5.5, 10)]
    assert found == [1, 3, 5]
    assert parse(changed(rating=0), rating_scale=(0, 100))["rating"] == 1
    assert parse(changed(rating=11), rating_scale=(1, 10))["reason"] == "bad_rating"
    assert parse(changed(rating=0), rating_scale=(0, 5))["rating"] == 1


def test_a_time_format_says_what_comes_first() -> None:
    assert (
        parse(changed(timestamp="10.06.2024"), time_format="%d.%m.%Y")["reviewed_at"].isoformat()
        == "2024-06-10T00:00:00+00:00"
    )
    assert parse(changed(timestamp="2024-06-10"), time_format="%d.%m.%Y")["reason"] == "bad_timestamp"


def test_columns_of_another_name_or_within_an_object() -> None:
    fields = {"user": {"id": "u1"}, "sku": "i1", "stars": 4, "body": "Fine.", "at": 1_718_000_000}
    columns = {
        "user_id": "user.id",
        "item_id": "sku",
        "rating": "stars",
        "text": "body",
        "timestamp": "at",
        "title": None,
    }
    row = parse(fields, columns=columns)
    assert (row["reason"], row["user_id"], row["item_id"], row["rating"], row["text"]) == (None, "u1", "i1", 4, "Fine.")
    assert parse({**REVIEW, "title": "kept out"}, columns={"title": None})["title"] is None
    assert parse(changed(text="left out"), columns={"text": None})["text"] == ""


def test_a_key_with_a_dot_in_its_name_is_that_key() -> None:
    assert parse({**REVIEW, "user.id": "u9"}, columns={"user_id": "user.id"})["user_id"] == "u9"


def test_texts_in_other_shapes() -> None:
    texts = {"list": ["One.", "Two."], "number": 5.0, "object": {"text": "x"}, "bool": True, "missing": None}
    found = {name: parse(changed(text=value))["text"] for name, value in texts.items()}
    assert found == {"list": "One. Two.", "number": "5.0", "object": "x", "bool": "true", "missing": ""}


def test_pseudonyms_and_users_who_were_erased() -> None:
    settings = ParsingSettings(
        8_000, user_name=lambda user: f"~{user}", erased=Erased(str, frozenset(["~gone"]), lambda user: f"~{user}")
    )
    assert parse(REVIEW, settings=settings)["user_id"] == "~u1"
    gone = parse(changed(user_id="gone", rating="five"), settings=settings)
    assert (gone["reason"], gone["field"], gone["detail"]) == ("erased", None, None)
    broken = '{"user_id": "gone", "item'
    unread = [Record(1, 0, Fault("not_json", broken))]
    found = [row for batch in review_batches(unread, adapter("jsonl"), settings) for row in batch.to_pylist()]
    assert [(row["reason"], row["detail"]) for row in found] == [("erased", None)]


def test_batches_are_bounded_and_in_order() -> None:
    many = [Record(n, 0, row) for n, row in enumerate(lines(BATCH + 10))]
    batches = list(review_batches(many, adapter("jsonl"), ParsingSettings(100)))
    assert [batch.num_rows for batch in batches] == [BATCH, 10]
    assert batches[1].column("source_line").to_pylist()[0] == BATCH
    assert {batch.schema for batch in batches} == {REVIEW_SCHEMA}
    items = list(item_batches(many, adapter("jsonl"), ParsingSettings(100)))
    assert [batch.num_rows for batch in items] == [BATCH, 10]
    assert items[0].schema == ITEM_SCHEMA


def test_items_that_cannot_be_named(tmp_path: Path) -> None:
    given = [
        {"item_id": "i1"},
        {"title": "nobody"},
        {"item_id": ["a"]},
        {"item_id": True},
        {"item_id": "\ud83d"},
        {"item_id": 7.0},
    ]
    found = rows(write(tmp_path / "i.jsonl", given), kind="items")
    reasons = [None, "missing_item_id", "bad_item_id", "bad_item_id", "bad_item_id", None]
    assert [row["reason"] for row in found] == reasons
    assert [row["item_id"] for row in found if row["reason"] is None] == ["i1", "7"]


def test_an_item_in_full(tmp_path: Path) -> None:
    given = {
        "item_id": "i1", "title": "Strings &amp; Picks", "creator": {"name": "Acme"}, "categories": "Audio, Guitar",
        "description": ["One.", "Two."],
    }  # fmt: skip
    (row,) = rows(write(tmp_path / "i.jsonl", json.dumps(given)), kind="items")
    found = (row["title"], row["creator"], row["categories"], row["description"])
    assert found == ("Strings & Picks", "Acme", ["Audio", "Guitar"], "One. Two.")


def test_numbers_of_a_file_reach_ids_and_moments_with_their_own_characters(tmp_path: Path) -> None:
    text = '{"user_id": 12345678901234567890123, "item_id": 1.0E7, "rating": 5.0, "timestamp": 1.6E9}\n'
    (row,) = rows(write(tmp_path / "r.jsonl", text))
    assert (row["user_id"], row["item_id"], f"{row['reviewed_at']:%Y-%m-%d}") == (
        "12345678901234567890123",
        "10000000",
        "2020-09-13",
    )
    bad = write(tmp_path / "bad.jsonl", text + text.replace("1.6E9", "1.6E1"))
    assert rows(bad)[1]["detail"] == "1.6E1"
    assert refusals(bad) == {2: "bad_timestamp"}
    assert len(read(bad)) == 2
