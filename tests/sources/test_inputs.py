"""Each kind of mess that people report of their files, with the outcome they expect (files in tests/fixtures/inputs).

What needs Spark (which record of several a night keeps) is in test_reader.py, `night` below runs it on these files.
"""

import json
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from parsed_night import parsed_reviews
from reading import REVIEW, json_lines, lines, newest, refusals, rows, users, write

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.adapters import adapter
from persona_pipeline.sources.files import check_files
from persona_pipeline.sources.folders import list_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GIVEN = Path(__file__).parents[1] / "fixtures" / "inputs"
JSONL = adapter("jsonl")


def reasons(path: Path, source: str = "jsonl", kind: Any = "reviews", **settings: Any) -> Counter[str | None]:
    """How many records of a file have which reason, None for those that are rows."""
    return Counter(row["reason"] for row in rows(path, source, kind, **settings))


def night(spark: "SparkSession", path: Path) -> tuple[list[tuple[str, int]], Counter[str]]:
    """File and line of the reviews that a night keeps of a folder or file, and reasons of the others."""
    from persona_pipeline.sources import reader

    files = [(file.name, file) for file in check_files(path, "reviews", JSONL)]
    made = reader.Night(parsed_reviews(spark, files, JSONL), date(2024, 6, 30))
    kept = sorted((row["source_file"], row["source_line"]) for row in made.rows().collect())
    return kept, Counter(row["reason"] for row in made.rejected().collect())


# ----- 1. a copy deletes the original


def test_a_copy_leaves_the_original(spark: "SparkSession") -> None:
    kept, others = night(spark, GIVEN / "18_dups/one_exact_dup.jsonl")
    assert (len(kept), others) == (40, {"copy": 1})


def test_an_edit_under_the_old_id_stands_for_the_review(spark: "SparkSession") -> None:
    path = GIVEN / "18_dups/edited_same_id.jsonl"
    total = len(users(path))
    kept, others = night(spark, path)
    ids = {json.loads(line)["review_id"] for line in path.read_text().splitlines() if line}
    assert len(kept) == len(ids)
    assert others == {"edited": total - len(ids)}


def test_a_full_dump_beside_an_increment_changes_nothing(spark: "SparkSession") -> None:
    kept, others = night(spark, GIVEN / "18_dups/overlap")
    assert Counter(file for file, _ in kept) == {"2024-01-01.jsonl": 20, "2024-01-02.jsonl": 20}
    assert others == {"copy": 20}


def test_repeats_have_one_winner_each(spark: "SparkSession") -> None:
    path = GIVEN / "17_repeats/reviews.jsonl"
    kept, others = night(spark, path)
    texts = {row["source_line"]: (row["user_id"], row["text"]) for row in rows(path)}
    assert Counter(texts[line] for _, line in kept if not str(texts[line][0]).startswith("bot")) == {
        ("twice", "second"): 1,
        ("tie", "second"): 1,
        ("exact", "Invented remark number 2 about the kettle, it pours well."): 1,
        ("case", "Invented remark number 2 about the kettle, it pours well."): 1,
        ("Case", "Invented remark number 2 about the kettle, it pours well."): 1,
        ("empty_last", "real words"): 1,
    }
    assert others == {"copy": 1, "edited": 3}


# ----- 2. numbers that pass through a double


def test_timestamps_that_pandas_wrote() -> None:
    found = rows(GIVEN / "15_timestamps/float_all.jsonl")
    assert {row["reason"] for row in found} == {None}
    assert found[0]["reviewed_at"] == datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)


def test_an_id_is_one_in_both_files() -> None:
    one, other = (set(users(GIVEN / "21b_float_ids" / name)) for name in ("a.jsonl", "b.jsonl"))
    assert one == other
    assert "10000000" in one


@pytest.mark.parametrize(
    "written", ["10000000", "10000000.0", '"10000000"', '"10000000.0"', "1.0E7", "1e7", '{"$numberLong": "10000000"}']
)
def test_an_id_is_one_however_it_is_written(tmp_path: Path, written: str) -> None:
    text = '{"user_id": ID, "item_id": ID, "rating": 5, "timestamp": 1600000000}\n'.replace("ID", written)
    (row,) = rows(write(tmp_path / "r.jsonl", text))
    assert (row["user_id"], row["item_id"]) == ("10000000", "10000000")


def test_a_detail_is_what_stands_in_the_file(tmp_path: Path) -> None:
    text = '{"user_id": "u", "item_id": "i", "rating": 5, "timestamp": 1.60E1}\n'
    assert rows(write(tmp_path / "r.jsonl", text))[0]["detail"] == "1.60E1"


@pytest.mark.parametrize(
    "missing", ["null", '""', '" "', '"null"', '"NaN"', "NaN", '"None"', '"N/A"', '"\\\\N"', '"<NA>"', '"NaT"']
)
def test_missing_has_one_meaning(tmp_path: Path, missing: str) -> None:
    text = '{"user_id": "u", "item_id": "i", "rating": 5, "timestamp": 1600000000, "text": "x", "title": "y"}'
    for field, value in {"user_id": '"u"', "item_id": '"i"', "rating": "5", "timestamp": "1600000000"}.items():
        without = text.replace(f'"{field}": {value}', f'"{field}": {missing}')
        path = write(tmp_path / "r.jsonl", json_lines(lines(1)) + without + "\n")
        assert refusals(path) == {2: f"missing_{field}"}
    (row,) = rows(write(tmp_path / "t.jsonl", text.replace('"x"', missing).replace('"y"', missing) + "\n"))
    assert (row["text"], row["title"]) == ("", None)


# ----- 3. a misnamed key goes unnoticed


def test_texts_under_another_key_are_asked_for() -> None:
    path = GIVEN / "05_text_key_unknown/reviews.jsonl"
    hint = r"under text, and review_text has words\. Say `reviews: \{columns: \{text: review_text\}\}`"
    with pytest.raises(SourceError, match=hint):
        users(path)
    found = rows(path, columns={"text": "review_text"})
    assert all(row["text"].startswith("Invented remark") for row in found)


def test_items_under_another_key_are_named_with_their_source() -> None:
    with pytest.raises(SourceError, match=r"need the key item_id, absent .* SOURCE=amazon2023"):
        rows(GIVEN / "20_items/items_parent.jsonl", kind="items")
    found = rows(GIVEN / "20_items/items_parent.jsonl", kind="items", item_columns={"item_id": "parent_asin"})
    assert [row["item_id"] for row in found] == [f"p{n}" for n in range(6)]


def test_an_item_told_twice_keeps_what_it_has() -> None:
    found = rows(GIVEN / "20_items/items_dupe_overlap.jsonl", kind="items")
    assert [row["title"] for row in found[-4:]] == [None, None, None, "New 3"]


def test_categories_of_items_in_all_their_shapes() -> None:
    found = {row["item_id"]: row for row in rows(GIVEN / "20_items/items_cats.jsonl", kind="items")}
    assert {name: row["categories"] for name, row in found.items()} == {
        "p0": ["Home", "Kitchen", "Kettles"], "p1": ["Home", "Kitchen"], "p2": ["Home"], "p3": ["1", "2"], "p4": ["Home"],
        "p5": ["Shopping", "Fashion", "Department Stores"],
    }  # fmt: skip
    assert [found[name]["title"] for name in ("p3", "p4", "p5")] == ["42", "list", None]


# ----- 4. names that Spark treats specially


def test_a_folder_of_hidden_files_alone_is_refused() -> None:
    with pytest.raises(
        SourceError, match=r"there are 1 hidden \(_reviews\.jsonl: names that begin with \. or _ are not read\)"
    ):
        users(GIVEN / "10c_underscore_only")
    assert len(users(GIVEN / "10c_underscore_only/_reviews.jsonl")) == 20


def test_brackets_are_no_pattern(spark: "SparkSession") -> None:
    assert night(spark, GIVEN / "10m_bracket/c[1].jsonl") == ([("c[1].jsonl", n) for n in range(1, 21)], {})
    kept, others = night(spark, GIVEN / "10n_bracket_mixed")
    assert Counter(file for file, _ in kept) == {"c1.jsonl": 20, "c[1].jsonl": 20}
    assert not others


@pytest.mark.parametrize(
    "name",
    [
        "{a,b}.jsonl",
        "a b%20#ü.jsonl",
        "new\nline.jsonl",
        "*?.jsonl",
        "back\\slash.jsonl",
        "co:lon=x.jsonl",
        "'q\".jsonl",
    ],
)
def test_any_name_is_a_name(spark: "SparkSession", tmp_path: Path, name: str) -> None:
    write(tmp_path / "in" / name, lines(3))
    assert night(spark, tmp_path / "in") == ([(name, 1), (name, 2), (name, 3)], {})


# ----- 5. a far date decides the night


def test_a_far_date_moves_no_night() -> None:
    path = GIVEN / "15_timestamps/far_future_one.jsonl"
    dates = sorted(row["reviewed_at"] for row in rows(path))
    assert dates[-1].year == 9999
    assert newest(path) == date(2020, 10, 23)


# ----- 6. masking: which notations are found is held by test_personal_data.py


def test_what_is_refused_shows_no_personal_data(tmp_path: Path) -> None:
    bad = {**REVIEW, "rating": "mail ana@example.org or ring (555) 555-0199"}
    (row,) = rows(write(tmp_path / "r.jsonl", [bad]))
    assert row["reason"] == "bad_rating"
    assert "example.org" not in row["detail"]
    assert "0199" not in row["detail"]
    faulty = rows(write(tmp_path / "f.jsonl", json_lines(lines(1)) + '{"text": "mail ana@example.org", '))[1]
    assert faulty["reason"] == "not_json"
    assert "example.org" not in faulty["detail"]


def test_notations_of_addresses_and_telephones() -> None:
    found = rows(GIVEN / "22_leak/reviews.jsonl")
    raw = [json.loads(line)["text"] for line in (GIVEN / "22_leak/reviews.jsonl").read_text().splitlines()]
    kept = [
        row["text"]
        for row, text in zip(found, raw, strict=True)
        if text.lower().startswith("mail") and row["text"] == text
    ]
    assert kept == []


# ----- 7. text damage


def test_texts_of_windows_are_read_as_such() -> None:
    texts = {row["text"] for row in rows(GIVEN / "07_encoding/cp1252.jsonl")}
    assert any("Café très bien, naïve façade" in text for text in texts)
    assert not any("\ufffd" in text for text in texts)


@pytest.mark.parametrize("file", ["crlf.jsonl", "utf8_bom.jsonl"])
def test_line_ends_and_marks(file: str) -> None:
    assert reasons(GIVEN / "07_encoding" / file) == {None: 30}


def test_a_long_text_without_spaces_is_cut_at_its_end(tmp_path: Path) -> None:
    words = "这个水壶非常好用" * 50
    (row,) = rows(write(tmp_path / "r.jsonl", [{**REVIEW, "text": f"好 {words}"}]), max_characters=200)
    assert 190 <= len(row["text"]) <= 200


# ----- 8. shapes


SHAPES = {
    "array_many_lines.json": 10,
    "concatenated_some.jsonl": 40,
    "mongo_id_only.jsonl": 30,
    "pretty.json": 10,
}


@pytest.mark.parametrize("file", SHAPES)
def test_json_in_any_shape(file: str) -> None:
    found = rows(GIVEN / "06_json_shapes" / file)
    assert [row["reason"] for row in found] == [None] * SHAPES[file]
    assert len({(row["source_line"], row["part"]) for row in found}) == SHAPES[file]
    assert not any("$" in row["user_id"] for row in found)


def test_gzip_in_any_shape() -> None:
    packed = GIVEN / "08_gzip"
    assert reasons(packed / "gzip_without_suffix.jsonl") == {None: 60}
    assert reasons(packed / "multi_member.jsonl.gz") == {None: 40}
    assert reasons(packed / "trailing_zeros.jsonl.gz") == {None: 40}
    with pytest.raises(SourceError, match=r"truncated\.jsonl\.gz: the gzip file is truncated or damaged"):
        users(packed / "truncated.jsonl.gz")
    with pytest.raises(SourceError, match=r"x\.tar\.gz: this is a tar archive: unpack it"):
        users(packed / "x.tar.gz")


def test_formats_that_people_have() -> None:
    assert reasons(GIVEN / "09_csv_parquet/reviews.csv", "csv").keys() == {None}
    with pytest.raises(SourceError, match=r"reviews\.csv: this is a CSV: say SOURCE=csv"):
        users(GIVEN / "09_csv_parquet/reviews.csv")
    assert reasons(GIVEN / "01_amazon2014_pyliteral/meta_pyliteral.json", "amazon2014", "items") == {None: 9}
    with pytest.raises(SourceError, match="this is Python literals: say SOURCE=amazon2014"):
        rows(GIVEN / "01_amazon2014_pyliteral/meta_pyliteral.json", "amazon2018", "items")
    assert reasons(GIVEN / "01_amazon2014_pyliteral/reviews_strict.json", "amazon2014") == {None: 20}
    assert reasons(GIVEN / "02_amazon2018/reviews.json", "amazon2018") == {None: 45}
    assert reasons(GIVEN / "03_amazon2023/All_Beauty.jsonl", "amazon2023") == {None: 30}
    assert reasons(GIVEN / "04_other_native/yelp_review.json", "yelp") == {None: 20}
    assert reasons(GIVEN / "04_other_native/goodreads.json", "goodreads") == {None: 16, "unrated": 4}


def test_titles_that_are_scripts() -> None:
    titles = [row["title"] for row in rows(GIVEN / "02_amazon2018/meta.json", "amazon2018", "items")]
    assert "Good Kettle" in titles
    assert not any(mark in title for title in titles if title for mark in ("var ", "function", "{"))


# ----- 9. small ones


def test_an_empty_part_beside_a_full_one() -> None:
    assert reasons(GIVEN / "10f_empty_part") == {None: 20}
    with pytest.raises(SourceError, match=r"part-00001\.json is empty"):
        users(GIVEN / "10f_empty_part/part-00001.json")


def test_a_file_has_its_own_name() -> None:
    listing = list_files(GIVEN / "10m_bracket", "reviews")
    assert [listing.name(file) for file in listing.files] == ["c[1].jsonl"]


def test_ratings_in_every_spelling() -> None:
    found = {row["source_line"]: row for row in rows(GIVEN / "14_ratings/reviews.jsonl")}
    accepted = {line: row["rating"] for line, row in found.items() if row["reason"] is None}
    # 5 as text, with blanks and leading zeros; 1e0; the others are no number from 1 to 5, or no JSON (05, 5., .5).
    assert accepted == {4: 5, 5: 5, 9: 4.5, 15: 1, 16: 5, 17: 5, 29: 1, 31: 5}
    assert Counter(row["reason"] for row in found.values() if row["reason"]) == {
        "bad_rating": 22, "missing_rating": 4, "not_json": 3
    }  # fmt: skip
