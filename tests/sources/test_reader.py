"""Which records of some files a night keeps, and what becomes of the others."""

import gzip
import hashlib
import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from parsed_night import AS_OF, Parsed, night

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.adapters import adapter
from persona_pipeline.sources.files import check_files
from persona_pipeline.sources.parsing import ParsingSettings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GOOD = {"user_id": "u1", "item_id": "i1", "rating": 4, "text": "Warm tone.", "timestamp": 1_718_000_000}
REAL = Path(__file__).resolve().parents[3] / "shared" / "data"


def parse(spark: "SparkSession", path: Path, lines: list[Any], as_of: date = AS_OF) -> Parsed:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    return night(spark, [path], as_of)


def test_every_fault_has_its_reason_and_line(spark: "SparkSession", tmp_path: Path) -> None:
    lines: list[Any] = [
        GOOD,
        "{broken",
        {**GOOD, "user_id": " "},
        {**GOOD, "item_id": None},
        {k: v for k, v in GOOD.items() if k != "rating"},
        {**GOOD, "rating": "five"},
        {**GOOD, "rating": 0},
        {**GOOD, "rating": 6},
        {**GOOD, "timestamp": ""},
        {**GOOD, "timestamp": "soon"},
        "",
        {**GOOD, "user_id": "u2", "review_id": "same"},
        {**GOOD, "user_id": "u3", "review_id": "same"},
        {**GOOD, "user_id": "u4", "timestamp": "2024-06-30"},
        "[1, 2]",
    ]
    parsed = parse(spark, tmp_path / "r.jsonl", lines)
    found = {row["source_line"]: row["reason"] for row in parsed.rejected.collect()}
    assert found == {
        2: "not_json",
        3: "missing_user_id",
        4: "missing_item_id",
        5: "missing_rating",
        6: "bad_rating",
        7: "bad_rating",
        8: "bad_rating",
        9: "missing_timestamp",
        10: "bad_timestamp",
        13: "duplicate_id",
        15: "not_json",
    }
    kept = {(row["user_id"], row["source_line"]) for row in parsed.rows.collect()}
    assert kept == {("u1", 1), ("u2", 12)}
    # The blank line is no record, the array two; the one on as_of is not due.
    assert (parsed.lines, parsed.not_yet) == (15, 1)


def test_a_users_newest_review_of_an_item_stays(spark: "SparkSession", tmp_path: Path) -> None:
    older, newer = {**GOOD, "text": "old"}, {**GOOD, "text": "new", "timestamp": GOOD["timestamp"] + 1}  # type: ignore[operator]
    parsed = parse(spark, tmp_path / "r.jsonl", [newer, older, {**GOOD, "text": "same time, later line"}])
    assert [row["text"] for row in parsed.rows.collect()] == ["new"]
    assert {(row["source_line"], row["reason"]) for row in parsed.rejected.collect()} == {
        (2, "edited"),
        (3, "edited"),
    }


def outcomes(parsed: Any) -> tuple[list[int], dict[int, str]]:
    """Lines kept, and the reasons of the others."""
    rejected = {row["source_line"]: row["reason"] for row in parsed.rejected.collect()}
    return sorted(row["source_line"] for row in parsed.rows.collect()), rejected


@pytest.mark.parametrize("with_id", [{"review_id": "r1"}, {}], ids=["its own id", "no id"])
def test_of_a_line_and_its_copies_the_first_stays(
    spark: "SparkSession", tmp_path: Path, with_id: dict[str, str]
) -> None:
    line = {**GOOD, **with_id}
    found = outcomes(parse(spark, tmp_path / "r.jsonl", [line, {**GOOD, "user_id": "u2"}, line, line]))
    assert found == ([1, 2], {3: "copy", 4: "copy"})


def test_of_a_review_and_its_edits_the_newest_stays(spark: "SparkSession", tmp_path: Path) -> None:
    first = {**GOOD, "review_id": "r1"}
    later = {**first, "text": "On second thoughts, dull.", "rating": 2}
    newest = {**later, "timestamp": GOOD["timestamp"] + 1}  # type: ignore[operator]
    # In the order of a file that was written anew, then as an increment before a full dump that overlaps it.
    assert outcomes(parse(spark, tmp_path / "a.jsonl", [first, later])) == ([2], {1: "edited"})
    again = outcomes(parse(spark, tmp_path / "b.jsonl", [newest, first, later, newest]))
    assert again == ([1], {2: "edited", 3: "edited", 4: "copy"})
    other_id = {**newest, "review_id": "r2"}
    assert outcomes(parse(spark, tmp_path / "c.jsonl", [first, first, other_id])) == ([3], {1: "edited", 2: "copy"})


def test_an_id_that_two_reviews_have_is_a_fault_and_the_first_has_it(spark: "SparkSession", tmp_path: Path) -> None:
    mine = {**GOOD, "review_id": "r1"}
    theirs = {**mine, "user_id": "u2", "timestamp": GOOD["timestamp"] + 9}  # type: ignore[operator]
    found = outcomes(parse(spark, tmp_path / "r.jsonl", [mine, theirs, mine, theirs]))
    assert found == ([1], {2: "duplicate_id", 3: "copy", 4: "duplicate_id"})


def test_a_review_not_yet_due_does_not_replace_an_older_one(spark: "SparkSession", tmp_path: Path) -> None:
    future = {**GOOD, "text": "from the future", "timestamp": "2024-07-01"}
    parsed = parse(spark, tmp_path / "r.jsonl", [GOOD, future])
    assert [row["text"] for row in parsed.rows.collect()] == ["Warm tone."]
    assert parsed.rejected.count() == 0


def test_derived_ids_are_stable_and_differ_by_content(spark: "SparkSession", tmp_path: Path) -> None:
    lines = [GOOD, {**GOOD, "user_id": "u2"}, {**GOOD, "item_id": "i2"}]
    first = {
        (r["user_id"], r["item_id"]): r["review_id"] for r in parse(spark, tmp_path / "a.jsonl", lines).rows.collect()
    }
    again = {
        (r["user_id"], r["item_id"]): r["review_id"]
        for r in parse(spark, tmp_path / "b.jsonl", lines[::-1]).rows.collect()
    }
    assert first == again
    assert len(set(first.values())) == 3


def test_derived_ids_are_those_of_the_warehouses_there_are(spark: "SparkSession", tmp_path: Path) -> None:
    lines = [
        GOOD,
        {**GOOD, "timestamp": 1_718_000_000_250, "user_id": "u2", "text": " Zwei \n"},
        {**GOOD, "text": "", "item_id": "i2"},
    ]
    found = parse(spark, tmp_path / "a.jsonl", lines).rows.orderBy("source_line").collect()
    received = [
        "u1|i1|2024-06-10 06:13:20|Warm tone.",
        "u2|i1|2024-06-10 06:13:20.25|Zwei \n",
        "u1|i2|2024-06-10 06:13:20",
    ]
    expected = [hashlib.sha256(text.replace("|", "\u001f").encode()).hexdigest()[:16] for text in received]
    assert [row["review_id"] for row in found] == expected


def test_a_file_read_in_parts_is_the_file(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from persona_pipeline.sources import files

    lines = [{**GOOD, "user_id": f"u{n}", "text": "word " * (n % 40)} for n in range(1, 900)]
    lines.insert(400, "{broken")  # type: ignore[arg-type]
    whole = parse(spark, tmp_path / "r.jsonl", lines)
    before = {str(row) for row in whole.rows.collect()}, {str(row) for row in whole.rejected.collect()}
    monkeypatch.setattr(files, "SPLIT_BYTES", 4_000)
    (file,) = check_files(tmp_path / "r.jsonl", "reviews", adapter("jsonl"))
    assert len(files.splits(file)) > 10
    parts = night(spark, [tmp_path / "r.jsonl"])
    assert ({str(row) for row in parts.rows.collect()}, {str(row) for row in parts.rejected.collect()}) == before
    assert (parts.lines, parts.rows.count()) == (900, 899)


def test_an_older_review_with_words_stays_before_a_newer_one_without(spark: "SparkSession", tmp_path: Path) -> None:
    bare = {**GOOD, "text": "", "rating": 1, "timestamp": GOOD["timestamp"] + 9}  # type: ignore[operator]
    assert outcomes(parse(spark, tmp_path / "a.jsonl", [GOOD, bare])) == ([1], {2: "edited"})
    # Under its own id it is what the user made of it.
    mine = [{**review, "review_id": "r1"} for review in (GOOD, bare)]
    assert outcomes(parse(spark, tmp_path / "b.jsonl", mine)) == ([2], {1: "edited"})


def test_files_that_overlap_change_nothing(spark: "SparkSession", tmp_path: Path) -> None:
    lines = [json.dumps({**GOOD, "user_id": f"u{n}"}) + "\n" for n in range(30)]
    for name, part in (("a[1].jsonl", lines[:20]), ("b{2}.jsonl", lines[10:]), ("c d%20.jsonl", lines)):
        (tmp_path / name).write_text("".join(part))
    found = night(spark, [tmp_path])
    assert (found.rows.count(), found.lines) == (30, 70)
    assert [(row["reason"], row["count"]) for row in found.rejected.groupBy("reason").count().collect()] == [
        ("copy", 40)
    ]


def test_items_take_what_the_last_record_with_something_says(spark: "SparkSession", tmp_path: Path) -> None:
    from persona_pipeline.sources import reader

    file = tmp_path / "i.jsonl.gz"
    lines = [
        {"item_id": "a", "title": "Old", "categories": ["Audio"], "description": "x", "creator": "Acme"},
        {
            "item_id": "a",
            "title": "Strings &amp; Picks",
            "categories": [["Audio", "Guitar"], ["Audio"]],
            "description": ["One.", "Two."],
        },
        {"item_id": "b", "title": "", "categories": "Audio"},
        {"title": "nobody"},
        {"item_id": "a", "title": None},
    ]
    file.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    known = adapter("jsonl")
    parsed = reader.read_items(spark, check_files(file, "items", known), known, ParsingSettings(8_000))
    items, rejected = reader.items_and_rejected(parsed)
    rows = {row["item_id"]: row.asDict() for row in items.collect()}
    assert rows["a"] == {
        "item_id": "a", "title": "Strings & Picks", "creator": "Acme", "categories": ["Audio", "Guitar"],
        "description": "One. Two.", "has_metadata": True,
    }  # fmt: skip
    assert (rows["b"]["title"], rows["b"]["categories"]) == (None, ["Audio"])
    assert {(r["source_line"], r["reason"]) for r in rejected.collect()} == {
        (1, "repeated"), (2, "repeated"), (4, "missing_item_id")
    }  # fmt: skip


def test_too_many_refusals_name_the_top_reasons() -> None:
    from persona_pipeline.sources.reader import require_few_rejections

    require_few_rejections("reviews", 100, {"bad_rating": 5, "repeated": 40, "copy": 30, "edited": 20}, 0.05)
    with pytest.raises(SourceError, match=r"6 of 100 records refused \(6\.0%.*bad_rating 4, not_json 2"):
        require_few_rejections("reviews", 100, {"not_json": 2, "bad_rating": 4}, 0.05)


@pytest.mark.skipif(not REAL.is_dir(), reason="real reviews are not there")
def test_real_reviews_are_all_accounted_for(spark: "SparkSession") -> None:
    parsed = night(spark, [REAL / "amazon_gift_cards" / "Gift_Cards_5.json.gz"], date(2018, 10, 1), "amazon2018")
    kept, refused = parsed.rows.count(), parsed.rejected.count()
    assert (parsed.lines, parsed.not_yet) == (2972, 0)
    assert (kept, refused) == (2965, 7)


def test_withheld_reviews_are_counted_and_never_rejected(spark: "SparkSession", tmp_path: Path) -> None:
    older = {**GOOD, "review_id": "older", "timestamp": GOOD["timestamp"] - 1}  # type: ignore[operator]
    lines = [older, {**GOOD, "review_id": "newer"}, {**GOOD, "review_id": "other", "item_id": "i2"}]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    withheld = spark.createDataFrame([("newer",), ("unknown",)], "review_id string")
    parsed = night(spark, [path], withheld=withheld)
    # The older review of the same item does not take the withheld one's place.
    assert [row["review_id"] for row in parsed.rows.collect()] == ["other"]
    assert [row["reason"] for row in parsed.rejected.collect()] == ["edited"]
    assert (parsed.lines, parsed.not_yet, parsed.withheld) == (3, 0, 1)
