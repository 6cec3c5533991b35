"""A folder is listed once, and not before it is full."""

import gzip
import lzma
import os
import time
from pathlib import Path
from typing import Any

import pytest
from reading import REVIEW, lines, users, write

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.core.errors import SourceError, TransientError
from persona_pipeline.sources.adapters import adapter
from persona_pipeline.sources.files import check_files
from persona_pipeline.sources.folders import list_files, settled

JSONL = adapter("jsonl")


def refused(path: Path) -> str:
    """What a user is told of a folder, without its path."""
    with pytest.raises(SourceError) as caught:
        check_files(path, "reviews", JSONL)
    return str(caught.value).replace(str(path), "FILE")


# ----- listing


def test_a_folder_is_listed_with_its_folders_in_order_without_what_is_hidden(tmp_path: Path) -> None:
    names = ("b.jsonl", "a/2.json.gz", "a/1.NDJSON", "c d%20#[x]{1,2}*?.jsonl", "new\nline.jsonl")
    others = ("_SUCCESS", "_reviews.jsonl", ".hidden/x.jsonl", "a/.1.json.crc", "_temporary/0/part.json", "a/_tmp.json")
    for name in (*names, *others, "notes.txt", "x.json.xz"):
        write(tmp_path / name, lines(1))
    listing = list_files(tmp_path, "reviews")
    assert [listing.name(file) for file in listing.files] == sorted(names)
    assert (listing.hidden, listing.other) == (len(others), 2)
    single = list_files(tmp_path / "_reviews.jsonl", "reviews")
    assert [single.name(file) for file in single.files] == ["_reviews.jsonl"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("r2.jsonl.xz", lzma.compress(b"{}"), "an xz file: unpack it, or compress it as gzip, bzip2 or zstd"),
        (
            "r2.jsonl.lzma",
            lzma.compress(b"{}", lzma.FORMAT_ALONE),
            "an lzma file: unpack it, or compress it as gzip, bzip2 or zstd",
        ),
        ("r3.zip", b"PK\3\4" + bytes(40), "a zip archive (or a spreadsheet): unpack it, or export it as CSV"),
        # no clock: the name of a test must be the same in every process that collects it
        ("r4.tgz", gzip.compress(bytes(257) + b"ustar" + bytes(250), mtime=0), "a tar archive: unpack it"),
    ],
)
def test_what_may_hold_records_and_is_not_read_is_told(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    write(tmp_path / "r1.jsonl", lines(1))
    write(tmp_path / "_archive" / name, content)  # hidden
    write(tmp_path / "notes.txt.gz", gzip.compress(b"notes"))
    assert users(tmp_path) == ["u0"]
    write(tmp_path / name, content)
    assert refused(tmp_path) == f"reviews: FILE/{name}: this is {told}; or take it out of the folder"


def test_names_that_mean_something_to_others_are_names(tmp_path: Path) -> None:
    for n, name in enumerate(("c[1].jsonl", "c1.jsonl", "{a,b}.jsonl", "a%20b c.jsonl", "*.jsonl", "new\nline.jsonl")):
        write(tmp_path / name, [{**REVIEW, "user_id": f"u{n}"}])
    assert sorted(str(user) for user in users(tmp_path)) == [f"u{n}" for n in range(6)]
    assert users(tmp_path / "c[1].jsonl") == ["u0"]


def test_two_files_of_the_same_content_are_two_files(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        write(tmp_path / name, lines(3))
    assert [file.name for file in check_files(tmp_path, "reviews", JSONL)] == ["a.jsonl", "b.jsonl"]
    assert len(users(tmp_path)) == 6


def test_folders_without_anything_to_read_say_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    suffixes = "*.csv, *.json, *.jsonl, *.ndjson, *.parquet, *.tsv, plain or packed (.gz, .bz2, .zst)"
    nothing = f"reviews: nothing to read in the folder FILE: no {suffixes}"
    assert refused(tmp_path / "empty") == nothing
    write(tmp_path / "hidden/_reviews.jsonl", lines(1))
    write(tmp_path / "hidden/notes.txt", "x")
    assert refused(tmp_path / "hidden") == (
        f"{nothing}; there are 1 hidden (_reviews.jsonl: names that begin with . or _ are not read) and "
        "1 of another suffix (notes.txt)"
    )
    assert refused(tmp_path / "nowhere.jsonl") == "reviews: no file or folder FILE"


def test_links(tmp_path: Path) -> None:
    write(tmp_path / "data/r.jsonl", lines(2))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.jsonl").symlink_to(tmp_path / "data/r.jsonl")
    (tmp_path / "whole").symlink_to(tmp_path / "data")
    assert users(tmp_path / "folder") == users(tmp_path / "whole") == ["u0", "u1"]
    (tmp_path / "folder/b.jsonl").symlink_to(tmp_path / "gone")
    assert refused(tmp_path / "folder") == (
        "reviews: FILE/b.jsonl: a link to nothing: mend it or take it out of the folder"
    )
    (tmp_path / "folder/b.jsonl").unlink()
    (tmp_path / "folder/more").symlink_to(tmp_path / "data")
    assert refused(tmp_path / "folder") == (
        "reviews: FILE/more: a link to a folder: give the folder itself, or put its files here"
    )


def test_a_link_to_nothing_that_is_hidden_is_nobodys_input(tmp_path: Path) -> None:
    write(tmp_path / "in/r.jsonl", lines(2))
    (tmp_path / "in/.#r.jsonl").symlink_to("ana@desk.4711:1718000000")  # the lock of an editor
    settled(tmp_path / "in", "reviews", ReviewsConfig(wait_minutes=0, quiet_seconds=0))
    assert users(tmp_path / "in") == ["u0", "u1"]


# ----- folders that are still being filled


def wait(path: Path, **settings: Any) -> str:
    """Why a folder is not taken as it is."""
    with pytest.raises(TransientError) as caught:
        settled(path, "reviews", ReviewsConfig(wait_minutes=0, **settings))
    return str(caught.value).replace(str(path), "FOLDER")


def aged(path: Path, seconds: float) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    aged(write(tmp_path / "in/a.jsonl", lines(1)), 3600)
    return tmp_path / "in"


def test_a_folder_with_a_young_file_waits(folder: Path) -> None:
    settled(folder, "reviews", ReviewsConfig(wait_minutes=0))
    aged(write(folder / "sub/b.jsonl", lines(1)), 10)
    assert wait(folder) == (
        "reviews: the folder FOLDER is still being filled: b.jsonl was written 10 s ago (reviews.quiet_seconds is 60). "
        "Nothing was read; try again later"
    )
    settled(folder, "reviews", ReviewsConfig(wait_minutes=0, quiet_seconds=5))
    settled(folder, "reviews", ReviewsConfig(wait_minutes=0, quiet_seconds=0))
    settled(folder / "sub/b.jsonl", "reviews", ReviewsConfig(wait_minutes=0))  # a file is taken as it is


def test_a_date_ahead_of_the_clock_is_no_young_file(folder: Path) -> None:
    aged(folder / "a.jsonl", -3600)
    settled(folder, "reviews", ReviewsConfig(wait_minutes=0))


def test_a_file_dated_by_a_clock_a_little_ahead_is_young(folder: Path) -> None:
    aged(folder / "a.jsonl", -5)
    assert "a.jsonl was written 0 s ago" in wait(folder)


@pytest.mark.parametrize(
    "name", ["b.jsonl.part", "b.tmp", "b.crdownload", "b.json._COPYING_", "b.gz.inprogress", "b.partial"]
)
def test_a_folder_with_an_unfinished_file_waits(folder: Path, name: str) -> None:
    aged(write(folder / name, ""), 3600)
    assert wait(folder, quiet_seconds=0) == (
        f"reviews: the folder FOLDER is still being filled: {name} has the name of an unfinished file. "
        "Nothing was read; try again later"
    )


def test_a_folder_that_spark_writes_waits(folder: Path) -> None:
    write(folder / "_temporary/0/part-0.json", "")
    assert "there is a _temporary in it, where Spark or Hadoop write what is not committed" in wait(
        folder, quiet_seconds=0
    )


def test_success_is_waited_for_where_it_is_expected(folder: Path) -> None:
    assert wait(folder, expect_success=True) == (
        "reviews: the folder FOLDER is still being filled: there is no _SUCCESS in it. Nothing was read; try again later"
    )
    write(folder / "_SUCCESS", "")
    settled(folder, "reviews", ReviewsConfig(wait_minutes=0, expect_success=True))  # young as it is


def test_a_folder_is_read_once_it_is_full(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            (folder / "b.part").rename(folder / "b.jsonl")

    write(folder / "b.part", lines(1))
    monkeypatch.setattr(time, "sleep", sleep)
    settled(folder, "reviews", ReviewsConfig(quiet_seconds=0, wait_minutes=1))
    assert len(slept) == 3
    assert [record.message for record in caplog.records] == [
        f"reviews: waiting for the folder {folder}, which is being filled: b.part has the name of an unfinished file"
    ]
