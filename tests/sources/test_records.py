"""Records of a file, each with its line; what cannot be read is a fault in its place."""

import json
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import REVIEW, json_lines, lines, read, write

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources import records as records_module
from persona_pipeline.sources.containers import opened
from persona_pipeline.sources.records import Fault, Record, Split, records
from persona_pipeline.sources.shapes import Shape
from persona_pipeline.sources.values import Number

A, B = {"a": "1"}, {"a": "2"}


def places(found: list[Record]) -> list[tuple[int, int, Any]]:
    return [(r.line, r.part, r.fields.reason if isinstance(r.fields, Fault) else r.fields) for r in found]


READ: dict[str, tuple[str, list[tuple[int, int, Any]]]] = {
    "lines": ('{"a": 1}\n\n{"a": 2}', [(1, 0, A), (3, 0, B)]),
    "CRLF and a mark": ('\ufeff{"a": 1}\r\n{"a": 2}\r\n', [(1, 0, A), (2, 0, B)]),
    "marks of files behind one another": ('\ufeff{"a": 1}\n\ufeff{"a": 2}\n', [(1, 0, A), (2, 0, B)]),
    "a mark between objects of a line": ('{"a": 1}\ufeff{"a": 2}\n', [(1, 0, A), (1, 1, B)]),
    "commas behind lines": ('{"a": 1},\n{"a": 2},\n', [(1, 0, A), (2, 0, B)]),
    "several on a line": ('{"a": 1}{"a": 2} {"a": 1}, {"a": 2}\n', [(1, 0, A), (1, 1, B), (1, 2, A), (1, 3, B)]),
    "lines that end with CR": ('{"a": 1}\r{"a": 2}\r', [(1, 0, A), (1, 1, B)]),
    "a line that breaks off": ('{"a": 1}\n{"a": \n{"a": 2}\n', [(1, 0, A), (2, 0, "not_json"), (3, 0, B)]),
    "junk behind an object": ('{"a": 1} and so on\n{"a": 2}\n', [(1, 0, A), (1, 1, "not_json"), (2, 0, B)]),
    "what is no object": ('{"a": 1}\n5\n"x"\nnull\n[]\n', [(1, 0, A), *((n, 0, "not_json") for n in (2, 3, 4, 5))]),
    "arrays by line": ('[{"a": 1}, 7]\n[{"a": 2}]\n', [(1, 0, A), (1, 1, "not_json"), (2, 0, B)]),
    "a key twice": ('{"a": 1, "a": 2}\n', [(1, 0, B)]),
    "an array": ('[{"a": 1}, {"a": 2}]', [(1, 0, A), (1, 1, B)]),
    "an array with a mark, over lines": ('\ufeff[\r\n{"a": 1},\r\n\r\n{"a": 2}\r\n]\r\n', [(2, 0, A), (4, 0, B)]),
    "what is no object in an array": ('[{"a": 1},\nnull]', [(1, 0, A), (2, 0, "not_json")]),
    "arrays behind one another": ('[\n{"a": 1}\n]\n[\n{"a": 2}\n]\n', [(2, 0, A), (5, 0, B)]),
    "pretty objects": ('{\n "a": 1\n}\n{\n "a":\n2}', [(1, 0, A), (4, 0, B)]),
    "pretty objects with commas and marks": ('\ufeff{\n "a": 1\n},\n\ufeff{\n "a": 2\n},', [(1, 0, A), (4, 0, B)]),
    "literals": ("{'a': '1'}\n\n{'b'\n{'a': u'2'}\n", [(1, 0, A), (3, 0, "not_python_literal"), (4, 0, B)]),
    "CSV": ("a,b\n1,x\n\n2,y\n", [(2, 0, {**A, "b": "x"}), (4, 0, {**B, "b": "y"})]),
    "CSV with rows of empty fields": (
        "a,b\n1,x\n,\n,,\n\n1,x\n",
        [(2, 0, {**A, "b": "x"}), (3, 0, "empty"), (4, 0, "empty"), (6, 0, {**A, "b": "x"})],
    ),
    "CSV behind blank lines": ("\r\n\na,b\n1,x\n", [(4, 0, {**A, "b": "x"})]),
    "CSV with an index of pandas": (",a\n0,1\n1,2\n", [(2, 0, {"": "0", **A}), (3, 0, {"": "1", **B})]),
    "CSV with lines in quotes": ('a,b\n1,"x\r\ny"\n2,""""\n', [(2, 0, {**A, "b": "x\r\ny"}), (4, 0, {**B, "b": '"'})]),
    "CSV with short and long rows": (
        "a,b\n1\n1,2,3\n1,x\n",
        [(2, 0, "not_csv"), (3, 0, "not_csv"), (4, 0, {**A, "b": "x"})],
    ),
}


@pytest.mark.parametrize(("text", "expected"), READ.values(), ids=READ)
def test_every_record_has_its_place(tmp_path: Path, text: str, expected: list[tuple[int, int, Any]]) -> None:
    assert places(read(write(tmp_path / "r", text))) == expected


def test_numbers_keep_their_characters(tmp_path: Path) -> None:
    text = '{"a": 1.0E9, "b": -0, "c": 12345678901234567890123, "d": 1e400, "e": NaN, "f": -Infinity, "g": [0.10]}'
    (found,) = read(write(tmp_path / "r", text))
    assert found.fields == {
        "a": "1.0E9", "b": "-0", "c": "12345678901234567890123", "d": "1e400", "e": "NaN", "f": "-Infinity", "g": ["0.10"]
    }  # fmt: skip


def test_a_quote_that_is_not_closed_costs_its_own_row_and_no_other(tmp_path: Path) -> None:
    text = 'a,b\n1,x\n2,"y\n3,z\n4,"good"\n5,"a\nb"\n6,end\n'
    assert places(read(write(tmp_path / "r", text))) == [
        (2, 0, {"a": "1", "b": "x"}),
        (3, 0, "not_csv"),
        (4, 0, {"a": "3", "b": "z"}),
        (5, 0, {"a": "4", "b": "good"}),
        (6, 0, {"a": "5", "b": "a\nb"}),
        (8, 0, {"a": "6", "b": "end"}),
    ]


def test_a_quote_that_is_not_closed_is_given_up_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "_ROW_BYTES", 2_000)
    text = 'a,b\n1,"open\n' + "".join(f"{n},x\n" for n in range(2, 3000))
    found = places(read(write(tmp_path / "r", text)))
    assert [place[2] for place in found[:2]] == ["not_csv", {"a": "2", "b": "x"}]
    assert len(found) == 2999
    many = "a,b\n" + '1,"open\n' * 1_500 + "1,2\n"
    with pytest.raises(SourceError, match=r"r, line 1002: more than 1,000 quotes are opened and not closed"):
        read(write(tmp_path / "r", many))


def test_a_field_of_five_megabytes(tmp_path: Path) -> None:
    long = "word\n" * 1_000_000
    (row,) = read(write(tmp_path / "r", f'a,b\n1,"{long}"\n'))
    assert row == Record(2, 0, {"a": "1", "b": long})
    (row, _) = read(write(tmp_path / "r", json.dumps({"a": 1, "b": long}) + "\n" + '{"a": 2}\n'))
    assert row.fields == {"a": "1", "b": long}
    (row, _) = read(write(tmp_path / "r", json.dumps([{"a": 1, "b": long}, {"a": 2}], indent=1)))
    assert row.fields == {"a": "1", "b": long}


BROKEN = {
    "an array that ends in a record": ("[\n" + ",\n".join([json.dumps(REVIEW)] * 3)[:-30], 4, "breaks off or is damaged"),
    "an array that ends behind a record": ("[\n" + ",\n".join([json.dumps(REVIEW)] * 3), 1, "has no end"),
    "an array that ends behind a comma": ("[\n" + json.dumps(REVIEW) + ",\n", 1, "has no end"),
    "more behind an array": ("[\n" + json.dumps(REVIEW) + "\n]\n" + json.dumps(REVIEW), 4, "more follows"),
    "a pretty object that breaks off": (json.dumps(REVIEW, indent=1) + "\n" + json.dumps(REVIEW, indent=1)[:-9], 8, "break"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), BROKEN.values(), ids=BROKEN)
def test_json_that_breaks_off_is_named_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(SourceError, match=rf"r[,:].* line {line}\b.*{message}|r, line {line}: .*{message}|{message}.*"):
        list(records(Split(write(tmp_path / "r", text), Shape("json", by_line=False))))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes asked of the file, read by read."""
    sizes: list[int] = []

    class Counting:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def read(self, size: int) -> bytes:
            sizes.append(size)
            return bytes(self.stream.read(size))

    @contextmanager
    def counting(path: Path, start: int = 0) -> Any:
        with opened(path, start) as stream:
            yield Counting(stream)

    monkeypatch.setattr(records_module, "opened", counting)
    return sizes


def test_damage_in_the_middle_of_an_array_is_told_without_reading_on(tmp_path: Path, taken: list[int]) -> None:
    broken = json.dumps(REVIEW)[:30] + "}"
    text = "[\n" + ",\n".join([json.dumps(REVIEW), broken, *[json.dumps(REVIEW)] * 50_000]) + "]"
    path = write(tmp_path / "r", text)
    with pytest.raises(SourceError, match=r"r, line 3: the record that begins here breaks off or is damaged"):
        list(records(Split(path, Shape("json", by_line=False))))
    assert len(taken) == 1
    assert path.stat().st_size > 4 * taken[0]


@pytest.mark.parametrize("text", ["é" * 40, "a, b}", "x" * 5_000])
def test_an_array_on_one_line_is_read_in_pieces(
    tmp_path: Path, taken: list[int], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(records_module, "_CHUNK", 1_001)
    given = [{"n": str(n), "text": text} for n in range(200)]
    path = write(tmp_path / "r.json", json.dumps(given, ensure_ascii=False))
    found = records(Split(path, Shape("json", by_line=False)))
    assert next(found) == (1, 0, given[0])
    assert sum(taken) < max(2_000, path.stat().st_size // 50)
    assert [record.fields for record in found] == given[1:]


def test_texts_of_another_encoding(tmp_path: Path) -> None:
    text = '{"a": "Café – déjà"}\n'
    found = read(write(tmp_path / "r", text.encode("cp1252") + text.encode() + b'{"a": "caf\xff\xc3\xa9\xc3\xa9"}\n'))
    assert [r.fields["a"] for r in found if isinstance(r.fields, dict)] == ["Café – déjà", "Café – déjà", "caf\ufffdéé"]


def test_texts_with_raw_controls_and_surrogates(tmp_path: Path) -> None:
    found = read(write(tmp_path / "r", b'{"a": "one\ttwo\x00"}\n{"a": "\\ud83d\\ude00 \\ud83d"}\n'))
    assert [r.fields for r in found] == [{"a": "one\ttwo\0"}, {"a": "😀 \ud83d"}]


@given(
    st.lists(st.one_of(st.just(json.dumps(REVIEW)), st.text('ab{}[]":,0 \t\r\ufeffé', max_size=30)), max_size=30),
    st.integers(1, 200),
)
def test_parts_of_a_file_hold_what_the_file_holds(tmp_path_factory: Any, texts: list[str], size: int) -> None:
    path = write(tmp_path_factory.mktemp("r") / "r", "\n".join(texts))
    raw, shape = path.read_bytes(), Shape("json")
    whole = list(records(Split(path, shape)))
    parts: list[Record] = []
    start, line = 0, 1
    while start < len(raw):
        end = raw.find(b"\n", min(start + size, len(raw) - 1)) + 1 or len(raw)
        parts += records(Split(path, shape, start, end, line))
        line += raw.count(b"\n", start, end)
        start = end
    assert parts == whole


DAY = datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)
COLUMNS: dict[str, tuple[pa.Array, Any]] = {
    "timestamp of a zone": (pa.array([DAY], pa.timestamp("ms", "Europe/Berlin")), "2024-06-10T06:13:20.000000"),
    "timestamp": (pa.array([DAY.replace(tzinfo=None)], pa.timestamp("ns")), "2024-06-10T06:13:20.000000"),
    "date": (pa.array([date(2024, 6, 10)]), "2024-06-10T00:00:00.000000"),
    "an early timestamp": (pa.array([datetime(1972, 1, 1)], pa.timestamp("us")), "1972-01-01T00:00:00.000000"),
    "double": (pa.array([1.5]), Number("1.5")),
    "whole number as double": (pa.array([1e16]), Number("1e+16")),
    "float": (pa.array([4.3], pa.float32()), Number("4.3")),
    "decimal": (pa.array([Decimal("4.50")]), Number("4.50")),
    "integer": (pa.array([7], pa.int32()), 7),
    "dictionary": (pa.array(["x"]).dictionary_encode(), "x"),
    "dictionary of numbers": (pa.array([2.5]).dictionary_encode(), Number("2.5")),
    "large string": (pa.array(["x"], pa.large_string()), "x"),
    "bytes": (pa.array(["Café".encode()]), "Café"),
    "bytes of another encoding": (pa.array(["Café".encode("cp1252")]), "Café"),
    "list": (pa.array([["a", "b"]]), ["a", "b"]),
    "list of lists": (pa.array([[["a"], ["b"]]]), [["a"], ["b"]]),
    "object": (pa.array([{"name": "a"}]), {"name": "a"}),
    "bool": (pa.array([True]), True),
}


@pytest.mark.parametrize(("column", "value"), COLUMNS.values(), ids=COLUMNS)
def test_values_of_parquet(tmp_path: Path, column: pa.Array, value: Any) -> None:
    table = pa.table({"v": pa.concat_arrays([column, pa.nulls(1, column.type)])})
    pq.write_table(table, tmp_path / "r")
    found = [r.fields["v"] for r in read(tmp_path / "r") if isinstance(r.fields, dict)]
    assert found == [value, None]
    assert type(found[0]) is type(value)


def test_a_string_column_that_is_no_utf_8(tmp_path: Path) -> None:
    raw = pa.array([b"Caf\xe9 noir", b"plain"])
    broken = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    pq.write_table(pa.table({"v": broken}), tmp_path / "r")
    assert [r.fields for r in read(tmp_path / "r")] == [{"v": "Café noir"}, {"v": "plain"}]


def test_row_groups_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(lines(10)), tmp_path / "r", row_group_size=3)
    shape = Shape("parquet")
    assert [r.line for r in read(tmp_path / "r")] == list(range(1, 11))
    (found,) = records(Split(tmp_path / "r", shape, 3, 4, 10))
    assert found.line == 10
    assert isinstance(found.fields, dict)
    assert found.fields["user_id"] == "u9"


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(lines(1000)), tmp_path / "r", compression="none")
    raw = bytearray((tmp_path / "r").read_bytes())
    raw[10:2000] = bytes(1990)
    (tmp_path / "r").write_bytes(raw)
    with pytest.raises(SourceError, match="r: a damaged Parquet file"):
        read(tmp_path / "r")


def test_lines_of_one_size_are_read_by_several_readers_as_by_one(tmp_path: Path) -> None:
    path = write(tmp_path / "r", json_lines(lines(100)))
    size = path.stat().st_size
    half = path.read_bytes().find(b"\n", size // 2) + 1
    first = list(records(Split(path, Shape("json"), 0, half)))
    second = list(records(Split(path, Shape("json"), half, 0, len(first) + 1)))
    assert first + second == read(path)
