"""Files are listed once, checked before anything is read, and split at the ends of lines."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import json_lines, lines, rows, users, write

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.core.errors import ConfigError, SourceError
from persona_pipeline.sources import files as files_module
from persona_pipeline.sources.adapters import ADAPTERS, adapter, configured
from persona_pipeline.sources.files import check_files, splits
from persona_pipeline.sources.records import records

JSONL = adapter("jsonl")


def refused(path: Path, source: str = "jsonl", kind: Any = "reviews", **settings: Any) -> str:
    """What a user is told of a file, without its path."""
    with pytest.raises(SourceError) as caught:
        check_files(path, kind, configured(source, ReviewsConfig(**settings)))
    return str(caught.value).replace(str(path), "FILE")


@pytest.mark.parametrize("form", ["%Q", "%d.%m", "%H:%M", "%d %d", "%", "day"])
def test_a_time_format_that_says_no_date_is_refused_before_the_night(form: str) -> None:
    with pytest.raises(ValueError, match="time_format"):
        ReviewsConfig(time_format=form)


@pytest.mark.parametrize("form", ["%d.%m.%Y", "%m/%d/%y %H:%M", "%Y%m%d", "%d %B %Y", "%Y-%j", "%c"])
def test_time_formats(form: str) -> None:
    assert ReviewsConfig(time_format=form).time_format == form


# ----- checks


def test_an_empty_part_beside_a_full_one_is_no_fault_and_all_empty_is(tmp_path: Path) -> None:
    write(tmp_path / "part-0.json", lines(2))
    for name, content in {"1": "", "2": "\n \n", "3": gzip.compress(b""), "4": "[]"}.items():
        write(tmp_path / f"part-{name}.json", content)
    assert users(tmp_path) == ["u0", "u1"]
    (tmp_path / "part-0.json").unlink()
    assert refused(tmp_path) == "reviews: all files of the folder FILE are empty"
    assert refused(write(tmp_path / "alone.json", "")) == "reviews: the file FILE is empty"


def test_a_table_without_rows_is_empty(tmp_path: Path) -> None:
    header = write(tmp_path / "r.csv", "user_id,item_id,rating,timestamp\n")
    assert refused(header, "csv") == "reviews: the file FILE is empty"
    pq.write_table(pa.Table.from_pylist(lines(1)).slice(0, 0), tmp_path / "r.parquet")
    assert refused(tmp_path / "r.parquet", "parquet") == "reviews: the file FILE is empty"


def test_keys_that_are_not_there_are_named_with_what_is_there_and_whom_they_fit(tmp_path: Path) -> None:
    amazon = write(tmp_path / "r.json", [{"reviewerID": "A", "asin": "B", "overall": 5.0, "unixReviewTime": 1}])
    assert refused(amazon) == (
        "FILE: reviews of source jsonl need the keys user_id, item_id, rating, timestamp, absent from the first 1 records, "
        "which have reviewerID, asin, overall, unixReviewTime. These are the keys of SOURCE=amazon2014 or amazon2018."
    )
    mine = write(tmp_path / "m.json", [{"user_id": "A", "sku": "B", "rating": 5, "timestamp": 1}])
    assert refused(mine).endswith(
        "need the key item_id, absent from the first 1 records, which have user_id, sku, rating, timestamp. Say which they "
        "are in reviews.columns, or choose another source."
    )
    items = write(tmp_path / "i.json", [{"parent_asin": "p0", "title": "Kettle"}])
    assert "These are the keys of SOURCE=amazon2023." in refused(items, kind="items")
    odd = write(tmp_path / "o.json", "{1: 'a', '\\ud83d': 2}\n")
    assert "which have 1, ?" in refused(odd, "amazon2014")


def test_a_key_that_some_records_lack_is_there(tmp_path: Path) -> None:
    given = [*lines(60), *({"user_id": "late", "item_id": "i", "rating": 5} for _ in range(60))]
    assert len(rows(write(tmp_path / "r.jsonl", given))) == 120


@pytest.mark.parametrize("first", ["max.mustermann,B1,5.0,1600000000", "max.mustermann,B1,good,2024-06-01T10:00:00Z"])
def test_a_csv_without_a_line_of_names_says_so_and_not_what_it_says(tmp_path: Path, first: str) -> None:
    bare = write(tmp_path / "r.csv", f"{first}\nA2,B1,4.0,1600000001\n")
    assert refused(bare, "csv") == (
        "FILE: the first line of the CSV names no columns: one of its 4 fields is a number or a date. Put a line of names before "
        "it; reviews of source csv need user_id, item_id, rating, timestamp"
    )


def test_a_column_twice_is_refused_where_it_is_read(tmp_path: Path) -> None:
    text = "user_id,item_id,rating,rating,timestamp,x,x\nu1,i1,5,4,1718000000,1,2\n"
    assert (
        refused(write(tmp_path / "r.csv", text), "csv") == "FILE: the column rating occurs 2 times; rename all but one"
    )
    unread = write(tmp_path / "u.csv", text.replace("rating,rating", "rating,other"))
    assert users(unread, "csv") == ["u1"]


FORMATS = [
    ("user_id,item_id\nu1,i1\n", "jsonl", "FILE: this is a CSV: say SOURCE=csv. SOURCE=jsonl reads JSON"),
    (json_lines(lines(1)), "csv", "FILE: this is JSON: say SOURCE=jsonl. SOURCE=csv reads a CSV"),
    (
        "{'user_id': 'u1', 'more': None}\n",
        "jsonl",
        "FILE: this is Python literals: say SOURCE=amazon2014. SOURCE=jsonl reads JSON",
    ),
    (json_lines(lines(1)), "movielens", "FILE: this is JSON: say SOURCE=jsonl. SOURCE=movielens reads a CSV, Parquet"),
]


@pytest.mark.parametrize(("text", "source", "message"), FORMATS)
def test_another_format_is_named_with_the_source_that_reads_it(
    tmp_path: Path, text: str, source: str, message: str
) -> None:
    assert refused(write(tmp_path / "r.txt", text), source) == message


def test_texts_under_another_key_are_missed(tmp_path: Path) -> None:
    given = [{key: value for key, value in row.items() if key != "text"} for row in lines(3)]
    assert "and 评论 has words" in refused(
        write(tmp_path / "c.jsonl", [{**row, "评论": "音色明亮,非常好听"} for row in given])
    )
    named = write(tmp_path / "r.jsonl", [{**row, "review_text": "It pours very well."} for row in given])
    assert refused(named) == (
        "FILE: no review of the first 3 has a text under text, and review_text has words. Say "
        "`reviews: {columns: {text: review_text}}` in the configuration, or `text: null` there if these reviews have no words"
    )
    assert [row["text"] for row in rows(named, columns={"text": "review_text"})] == ["It pours very well."] * 3
    assert [row["text"] for row in rows(named, columns={"text": None})] == [""] * 3


def test_one_file_of_stars_beside_files_of_words_is_no_fault(tmp_path: Path) -> None:
    stars = [{**row, "text": None, "product_name": "A very good kettle"} for row in lines(3)]
    write(tmp_path / "a.jsonl", stars)
    assert "and product_name has words" in refused(tmp_path)
    write(tmp_path / "b.jsonl", lines(3))
    assert len(users(tmp_path)) == 6


@pytest.mark.parametrize(
    "extra", [{"seen": "Fri Aug 25 13:55:02 -0700 2017"}, {"url": "https://example.org/a/b"}, {"brand": "Acme"}, {}]
)
def test_stars_without_any_words_are_reviews(tmp_path: Path, extra: dict[str, str]) -> None:
    given = [{**{key: value for key, value in row.items() if key != "text"}, **extra} for row in lines(3)]
    assert users(write(tmp_path / "r.jsonl", given)) == ["u0", "u1", "u2"]


def test_unknown_source_lists_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        adapter("netflix")
    assert str(caught.value) == f"source netflix: no such adapter; there are {', '.join(sorted(ADAPTERS))}"


# ----- splits


@pytest.mark.parametrize("size", [300, 1_000, 100_000])
def test_splits_of_a_plain_file_hold_its_records_and_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(files_module, "SPLIT_BYTES", size)
    path = write(tmp_path / "r.jsonl", ("\ufeff" + json_lines(lines(50)) + "\n" + json_lines(lines(50))).encode())
    (file,) = check_files(path, "reviews", JSONL)
    parts = splits(file)
    assert len(parts) == -(-file.bytes // size) or (1 < len(parts) < file.bytes / size)
    found = [record for part in parts for record in records(part)]
    assert [record.line for record in found] == [*range(1, 51), *range(52, 102)]
    assert all(isinstance(record.fields, dict) for record in found)


def test_row_groups_are_splits_and_packed_files_and_csv_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "SPLIT_BYTES", 100)
    table = pa.Table.from_pylist(lines(10))
    pq.write_table(table, tmp_path / "r.parquet", row_group_size=4)
    (file,) = check_files(tmp_path / "r.parquet", "reviews", adapter("parquet"))
    assert [(part.start, part.end, part.line) for part in splits(file)] == [(0, 1, 1), (1, 2, 5), (2, 3, 9)]
    assert users(tmp_path / "r.parquet", "parquet") == [f"u{n}" for n in range(10)]
    for name, content in {
        "r.jsonl": gzip.compress(json_lines(lines(9)).encode()),
        "a.json": f"[{json_lines(lines(1))}]",
    }.items():
        (file,) = check_files(write(tmp_path / name, content), "reviews", JSONL)
        assert len(splits(file)) == 1
