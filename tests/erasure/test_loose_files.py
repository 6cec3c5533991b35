"""What lies beside tables, by its content: rows, records, logs, JSON, archives, pages, and what nobody can read."""

import bz2
import gzip
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import AS_OF, put, shop

from persona_pipeline.config import load_config
from persona_pipeline.erasure.field_names import FieldNames, field_names
from persona_pipeline.erasure.loose_files import clean_files
from persona_pipeline.erasure.loose_records import Known
from persona_pipeline.erasure.mentions import Mentions
from persona_pipeline.erasure.places import loose_files, staged_responses, tables, unfinished
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.runs.opening import Input, open_run
from persona_pipeline.sources.containers import opened
from persona_pipeline.warehouse import Warehouse

BEN = Mentions.of(["U000042"], ["Bought it for my daughter, who just started lessons."])


def clean(path: Path, dry_run: bool = False, mentions: Mentions = BEN) -> dict[str, int]:
    found = clean_files([path], Known(mentions, field_names(path.parent)), lambda _: False, dry_run)
    assert (found.left == [path]) == ("left as they are" in found.done)
    return found.done


def test_records_lose_lines_packed_or_not(tmp_path: Path) -> None:
    lines = ['{"user_id": "U000041"}\n', '{"user_id": "U000042"}\n', "not json\n"]
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_text("".join(lines))
    packed.write_bytes(gzip.compress("".join(lines).encode()))
    for path in (plain, packed):
        before = path.read_bytes()
        assert clean(path, dry_run=True) == {"lost lines": 1}
        assert path.read_bytes() == before
        assert clean(path) == {"lost lines": 1}
        assert clean(path) == {}
    assert plain.read_text() == lines[0] + lines[2]
    assert gzip.decompress(packed.read_bytes()).decode() == plain.read_text()


def test_compressed_records_lose_lines_however_they_are_packed(tmp_path: Path) -> None:
    lines = b'{"user_id": "U000041"}\n{"user_id": "U000042"}\n'
    packed = {"bz2": bz2.compress(lines), "zst": pa.compress(lines, "zstd", asbytes=True)}
    for suffix, content in packed.items():
        path = tmp_path / f"a.jsonl.{suffix}"
        path.write_bytes(content)
        assert clean(path) == {"lost lines": 1}
        with opened(path) as stream:
            assert stream.read() == lines.splitlines(keepends=True)[0]


def test_a_record_of_several_lines_goes_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('uid,text\n10,"one\ntwo\n10 more"\n11,"three\n10"\n10,four\nbroken,10,"\n')
    (tmp_path / "a.json").write_text('{"uid": 10}\n{"uid": 11, "item_id": "10"}\n')
    names = FieldNames(frozenset(["uid"]), frozenset(["item_id"]))
    for name, kept in (("a.csv", 'uid,text\n11,"three\n10"\n'), ("a.json", '{"uid": 11, "item_id": "10"}\n')):
        found = clean_files([tmp_path / name], Known(Mentions(frozenset(["10"])), names), lambda _: False)
        assert found.done == {"lost lines": 1}
        assert (tmp_path / name).read_text() == kept


def test_an_archive_of_files_is_searched_and_never_written(tmp_path: Path) -> None:
    member, path = tmp_path / "a.log", tmp_path / "a.tar.gz"
    member.write_text("by U000042\n")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(member, "a.log")
    before = path.read_bytes()
    assert clean(path) == {"left as they are": 1}
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("old.log.gz", gzip.compress(b"U000041 " * 9_000)[:-30]),
        ("a.zip", b"PK\x03\x04 and no end to it"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c"),
        ("a.jsonl", b'[{"user_id": "U000041"},\n{"user_id": "U000042"}]\n'),
    ],
)
def test_what_cannot_be_read_or_written_stops_nothing_and_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert clean(tmp_path / name) == {"left as they are": 1}
    assert (tmp_path / name).read_bytes() == content


def test_arrays_of_objects_and_pages_in_another_code_stop_nothing(tmp_path: Path) -> None:
    arrays, page, rotated = tmp_path / "a.npz", tmp_path / "a.html", tmp_path / "gone.log"
    np.savez(arrays, values=np.array([{"a": 1}, None], dtype=object))
    page.write_bytes("<p>größer</p>".encode("latin-1"))
    found = clean_files([rotated, arrays, page], Known(BEN, field_names(tmp_path)), lambda _: False)
    assert (found.done, found.left) == ({"left as they are": 1}, [arrays])


def test_a_log_loses_ids_and_keeps_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "job.log"
    path.write_bytes(b"a U000042 b\nHe bought it for my daughter, who left\nbytes \xff stay\n")
    assert clean(path) == {"redacted": 1}
    assert path.read_bytes() == b"a [erased] b\n[erased]\nbytes \xff stay\n"


def test_json_stays_json(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    path.write_text(json.dumps({"U000042": 1, "users": ["U000041", "U000042"], "n": [1.5, None], "told": "by U000042"}))
    assert clean(path) == {"redacted": 1}
    assert json.loads(path.read_text()) == {"users": ["U000041"], "n": [1.5, None], "told": "by [erased]"}


def test_rows_of_any_parquet_go(tmp_path: Path) -> None:
    path = tmp_path / "values.parquet"
    rows = pa.table({"who": pa.array(["U000041", "U000042"]).dictionary_encode(), "value": [1.0, 2.0]})
    pq.write_table(rows, path)
    assert clean(path) == {"lost rows": 1}
    assert pq.read_table(path)["value"].to_pylist() == [1.0]


@pytest.mark.parametrize("name", ["10", "john"])
def test_an_id_that_is_an_items_too_is_looked_for_where_people_are_named(tmp_path: Path, name: str) -> None:
    rows, values = tmp_path / "values.parquet", tmp_path / "values.json"
    pq.write_table(pa.table({"userId": [name, "11", "12"], "item_id": ["1", name, "2"]}), rows)
    values.write_text(json.dumps({"users": {name: 1, "11": 2}, "item_id": name, "told": "10 of 12"}))
    mentions = Mentions(frozenset([name]))
    assert clean(rows, mentions=mentions) == {"lost rows": 1}
    assert pq.read_table(rows)["userId"].to_pylist() == ["11", "12"]
    assert clean(values, mentions=mentions) == {"redacted": 1}
    assert json.loads(values.read_text()) == {"users": {"11": 2}, "item_id": name, "told": "10 of 12"}


def test_users_that_are_numbers_are_found(tmp_path: Path) -> None:
    path = tmp_path / "values.parquet"
    pq.write_table(pa.table({"user_id": [10, 11], "item_id": [11, 10]}), path)
    assert clean(path, mentions=Mentions(frozenset(["10"]))) == {"lost rows": 1}
    assert pq.read_table(path)["user_id"].to_pylist() == [11]


def test_rows_with_views_of_texts_go(tmp_path: Path) -> None:
    path = tmp_path / "values.parquet"
    rows = pa.table({"user_id": pa.array(["U000041", "U000042"], pa.string_view()), "told": [["a"], ["b"]]})
    pq.write_table(rows.cast(pa.schema([("user_id", pa.string_view()), ("told", pa.list_(pa.string_view()))])), path)
    assert clean(path) == {"lost rows": 1}
    assert pq.read_table(path).to_pylist() == [{"user_id": "U000041", "told": ["a"]}]


def test_artefacts_stay_as_they_were_trained(tmp_path: Path) -> None:
    folder = tmp_path / "_artefacts" / "bases" / "b"
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps({"vocab": {"john": 1, "smith": 2}}))
    (folder / "vocab.txt").write_text("john\nsmith\n")
    pq.write_table(pa.table({"item_id": ["10", "john"]}), folder / "prior_items.parquet")
    np.savez(folder / "items.npz", ids=np.array(["10", "john"]))
    mentions = Mentions(frozenset(["10", "john"]))
    for path in sorted(folder.iterdir()):
        before = path.read_bytes()
        assert clean(path, mentions=mentions) == {}
        assert path.read_bytes() == before
    named = folder / "of_users.parquet"
    pq.write_table(pa.table({"user_id": ["john"]}), named)
    assert clean(named, mentions=mentions) == {"left as they are": 1}
    assert pq.read_table(named).num_rows == 1


@pytest.mark.parametrize("names", [["U000041"], ["U000042"]])
def test_archives_of_arrays_are_searched_and_named(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "arrays.npz"
    np.savez(path, names=np.array(names), weights=np.ones(3))
    assert clean(path) == ({"left as they are": 1} if names == ["U000042"] else {})


@pytest.mark.parametrize("code", ["utf-8", "utf-16-le", "utf-32-le"])
def test_what_nobody_can_read_is_searched_and_named(tmp_path: Path, code: str) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"\0\1" * 3_000_000 + "U000042".encode(code) + b"\0")
    assert clean(path) == {"left as they are": 1}
    path.write_bytes(b"\0\1" * 3_000_000)
    assert clean(path) == {}


def test_a_damaged_file_is_named_and_a_page_nobody_can_render_goes(tmp_path: Path) -> None:
    damaged, page = tmp_path / "a.parquet", tmp_path / "2024-06-30.html"
    damaged.write_bytes(b"PAR1 and no end to it")
    page.write_text("<p>U000042 &amp; co")
    assert clean(damaged) == {"left as they are": 1}
    assert clean(page) == {"deleted": 1}
    assert not page.exists()


def test_tables_are_found_wherever_they_are(tmp_path: Path) -> None:
    root, other = tmp_path / "warehouse", tmp_path / "ledger"
    for warehouse, table in (
        (Warehouse(root), "reviews"),
        (staged_tables(Warehouse(root)), "default_topk"),
        (Warehouse(other), "text_embeddings"),
    ):
        put(warehouse, table, shop()[table])
    (root / "text_embeddings").symlink_to(other / "text_embeddings")
    put(Warehouse(other), "llm_calls", [])
    (other / "_llm_calls").mkdir()
    pq.write_table(pa.table({"request_key": ["k"]}), other / "_llm_calls" / "0.parquet")
    open_run(root, AS_OF, load_config("local", {"extraction": {"llm": {"ledger": str(other)}}}), Input())
    (root / "note.txt").write_text("a")
    (root / ".note.txt.999999999").write_text("unfinished")
    found = {place.told: place.folder for place in tables(root)}
    assert {"reviews", "_candidates/default_topk", "text_embeddings", str(other / "llm_calls"), "runs"} <= set(found)
    assert found["text_embeddings"] == other / "text_embeddings"
    assert staged_responses(root) == [other / "_llm_calls" / "0.parquet"]
    assert root / "note.txt" in loose_files(root)
    assert not any(path.suffix == ".parquet" for path in loose_files(root))
    assert unfinished(root) == [root / ".note.txt.999999999"]


def test_what_killed_processes_left_is_theirs_alone(tmp_path: Path) -> None:
    """A partial within a partial goes with it; what others have called alike stays."""
    ours = [
        "_artefacts/encoders/.e1.999999999",
        "_artefacts/bases/.b1.data",
        "reviews/.a.parquet.999999998",
        "._layout.json.999999998",
    ]
    for folder in ours:
        (tmp_path / folder / ".inner.json.999999999").mkdir(parents=True)
    for folder in (".backup.20240101", "notes/.draft.20240101", "_artefacts/bases/.b1.lock"):
        (tmp_path / folder).mkdir(parents=True)
    assert {str(path.relative_to(tmp_path)) for path in unfinished(tmp_path)} == {*ours}
