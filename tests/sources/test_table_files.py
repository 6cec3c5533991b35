"""What is found before Spark starts: kind of file, columns, and faults that name file, column and what was expected."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.table_files import TableFiles, check_table
from persona_pipeline.sources.table_kinds import BLOCKS, CANDIDATES


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def check_candidates(path: Path) -> TableFiles:
    return check_table(path, CANDIDATES)


LISTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "csv": ("csv", "user_id,item_id,score\n", ("user_id", "item_id", "score")),
    "csv in another order": ("csv", '"item_id", note,rank,user_id\n', ("user_id", "item_id", "rank")),
    "csv with a mark": ("csv", "\ufeffuser_id,item_id,rank,score\n", ("user_id", "item_id", "rank", "score")),
    "csv with semicolons": ("csv", "user_id;item_id;score\nu;i;1\n", ("user_id", "item_id", "score")),
    "json": ("json", '{"score": 1, "item_id": "i", "user_id": "u", "note": 2}\n', ("user_id", "item_id", "score")),
    "json of several": (
        "json",
        'broken\n{"user_id": "u", "item_id": "i", "rank": 1}\n{"score": 1}\n',
        ("user_id", "item_id", "rank", "score"),
    ),
    "an array": ("json", '[{"user_id": "u", "item_id": "i",\n "rank": 1}]', ("user_id", "item_id", "rank")),
    "nothing": ("json", "", ()),
    "no object": ("json", "[]\n", ()),
}


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json.gz"])
@pytest.mark.parametrize(("form", "text", "columns"), LISTS.values(), ids=LISTS)
def test_files_are_what_they_hold_whatever_they_are_called(
    tmp_path: Path, name: str, form: str, text: str, columns: tuple[str, ...]
) -> None:
    path = write(tmp_path / name, text)
    found = check_candidates(path)
    assert [(file.path, file.name) for file in found.files] == [(path, name)]
    assert (found.format, found.columns) == (form, columns)


def test_an_empty_file_beside_full_ones_is_no_fault(tmp_path: Path) -> None:
    for name, text in {"a.csv": "", "b.csv": "user_id,item_id\nana,capo\n", "c/d.csv": "item_id,user_id\n"}.items():
        write(tmp_path / name, text)
    found = check_table(tmp_path, BLOCKS)
    assert ([file.name for file in found.files], found.format) == (["a.csv", "b.csv", "c/d.csv"], "csv")


def test_columns_of_parquet(tmp_path: Path) -> None:
    rows = pa.table({"score": [1.5], "user_id": [7], "item_id": pa.array(["i"]).dictionary_encode(), "note": [None]})
    pq.write_table(rows, tmp_path / "a.parquet")
    assert check_candidates(tmp_path / "a.parquet").columns == ("user_id", "item_id", "score")


def test_a_folder_as_spark_writes_it(tmp_path: Path) -> None:
    for name in ("part-1.csv", "part-0.csv", "_SUCCESS", ".part-0.csv.crc"):
        write(tmp_path / name, "user_id,item_id,rank\n")
    assert [file.name for file in check_candidates(tmp_path).files] == ["part-0.csv", "part-1.csv"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, r"candidates\.file: nothing to read in the folder .*: no \*\.csv"),
        ({"a.txt": ""}, r"there are 1 of another suffix \(a\.txt\)"),
        (
            {"a.csv": "user_id,item_id,rank\n", "b.json": '{"user_id": "u", "item_id": "i", "rank": 1}'},
            "holds csv, json; give",
        ),
        ({"a.csv": "user_id,item_id,user_id\n"}, r"a\.csv, line 1: a column is named twice: user_id"),
        ({"a.csv": "user,item_id,score\n"}, r"a\.csv, line 1: candidates need user_id; found user, item_id, score"),
        (
            {"a.jsonl": '{"user_id": "u", "results": []}'},
            r"a\.jsonl: candidates need item_id, rank \(1 is best\) or score \(more is better\); found user_id, results",
        ),
        (
            {"a.jsonl": "user_id\n"},
            r"a\.jsonl: none of the first 1 lines is a JSON object, and the file is neither CSV",
        ),
        ({"a.jsonl": "{'user_id': 'u', 'more': None}\n"}, r"a\.jsonl: this is Python literals; expected JSON"),
        ({"a.parquet": "PAR1"}, r"a\.parquet: a damaged Parquet file"),
        (
            {"a.csv": "user_id,item_id,rank\n", "b.csv": "user_id,item_id,score\n"},
            r"a\.csv: the column score of other files is not in it; files of one folder have the same columns",
        ),
    ],
)
def test_faults_say_where_and_what_was_expected(tmp_path: Path, files: dict[str, str], said: str) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    for name, text in files.items():
        write(folder / name, text)
    with pytest.raises(SourceError, match=said):
        check_candidates(folder)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"candidates\.file: no file or folder .*lists\.csv"):
        check_candidates(tmp_path / "lists.csv")


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("user_id", [0.5], "column user_id is double; expected a string or a whole number"),
        ("score", ["high"], "column score is string; expected a number"),
    ],
)
def test_parquet_of_another_type(tmp_path: Path, column: str, values: list[object], said: str) -> None:
    rows = {"user_id": ["u"], "item_id": ["i"], "score": [1.0], column: values}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=said):
        check_candidates(tmp_path / "a.parquet")


def test_a_truncated_file_is_found_before_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv.gz", "user_id,item_id,rank\n" + "".join(f"u{n},i{n},1\n" for n in range(9_000)))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SourceError, match="truncated or damaged"):
        check_candidates(path)
