import gzip
import json
from datetime import date, datetime
from pathlib import Path

import pytest
from timestamp_cases import TIMESTAMPS

from persona_pipeline.core.errors import ConfigError, SourceError
from persona_pipeline.sources.adapters import adapter
from persona_pipeline.sources.files import check_files, day_after_newest, input_files, parse_timestamp

LINE = {"user_id": "u1", "item_id": "i1", "rating": 5, "text": "Bright tone.", "timestamp": 1_718_000_000}


def write(path: Path, *lines: dict[str, object] | str) -> Path:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_plain_and_gzip_files_pass(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", LINE)
    write(tmp_path / "b.jsonl.gz", LINE)
    assert [f.path.name for f in check_files(tmp_path, "reviews", adapter("jsonl"))] == ["a.jsonl", "b.jsonl.gz"]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"reviews: no file or folder .*nowhere\.jsonl"):
        check_files(tmp_path / "nowhere.jsonl", "reviews", adapter("jsonl"))


def test_folder_without_input_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SourceError, match=r"no \*\.json, \*\.jsonl"):
        input_files(tmp_path, "reviews")


def test_truncated_gzip_is_found_with_the_line_it_breaks_after(tmp_path: Path) -> None:
    whole = write(
        tmp_path / "whole.jsonl.gz", *({**LINE, "user_id": f"u{i}", "text": f"{i * 7919:x}"} for i in range(2000))
    )
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    with pytest.raises(SourceError, match=r"broken\.jsonl\.gz: gzip file is truncated or damaged after line 1,\d\d\d"):
        check_files(broken, "reviews", adapter("jsonl"))
    check_files(whole, "reviews", adapter("jsonl"))


def test_something_else_with_a_gz_name(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl.gz").write_text(json.dumps(LINE))
    with pytest.raises(SourceError, match="truncated or damaged"):
        check_files(tmp_path / "r.jsonl.gz", "reviews", adapter("jsonl"))


def test_wrong_column_names_what_is_there_and_the_adapter_it_fits(tmp_path: Path) -> None:
    amazon = write(tmp_path / "r.json", {"reviewerID": "A", "asin": "B", "overall": 5.0, "unixReviewTime": 1})
    with pytest.raises(SourceError) as caught:
        check_files(amazon, "reviews", adapter("jsonl"))
    assert "need the keys user_id, item_id, rating, timestamp" in str(caught.value)
    assert "which have reviewerID, asin, overall, unixReviewTime" in str(caught.value)
    assert "SOURCE=amazon2018" in str(caught.value)


@pytest.mark.parametrize(("content", "message"), [("", "empty"), ("hello\nworld\n", "none of the first 2 lines")])
def test_not_json_lines(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "r.jsonl").write_text(content)
    with pytest.raises(SourceError, match=message):
        check_files(tmp_path / "r.jsonl", "reviews", adapter("jsonl"))


def test_unknown_source_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match="amazon2018, jsonl, synthetic"):
        adapter("yelp")


def test_night_after_newest_skips_unreadable_lines(tmp_path: Path) -> None:
    file = write(
        tmp_path / "r.jsonl", {**LINE, "timestamp": "2024-02-28T23:59:59Z"}, "{broken", {**LINE, "timestamp": "soon"}
    )
    assert day_after_newest(file, adapter("jsonl")) == date(2024, 2, 29)


def test_night_after_newest_without_any_date(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="set AS_OF"):
        day_after_newest(write(tmp_path / "r.jsonl", {**LINE, "timestamp": None}), adapter("jsonl"))


@pytest.mark.parametrize(("value", "moment"), TIMESTAMPS)
def test_parse_timestamp(value: object, moment: datetime | None) -> None:
    assert parse_timestamp(value) == moment
