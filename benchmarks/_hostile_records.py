"""Make input files that no source would hand out, and judge what becomes of each of their records (hypothesis).

A case is a source, a kind of input and the bytes of a file: records of the source in their real shape, some of their values
and keys exchanged for others, written as lines, arrays, over lines, as CSV or Parquet, cut, damaged and packed; or any bytes.
"""

import bz2
import csv
import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from persona_pipeline.config import InteractionsConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.sources.adapters import ADAPTERS, Adapter, InputKind
from persona_pipeline.sources.files import check_files, splits
from persona_pipeline.sources.given import GivenRecords
from persona_pipeline.sources.newest import day_after_newest
from persona_pipeline.sources.parsing import ParsingSettings, item_batches, review_batches
from persona_pipeline.sources.records import records

Row = dict[str, Any]
LONGEST = 300
"""Characters of a review text, as the judged runs are set."""
REASONS = frozenset(
    {
        *(
            "not_json",
            "not_python_literal",
            "not_csv",
            "missing_user_id",
            "missing_item_id",
            "missing_rating",
            "missing_timestamp",
        ),
        *("bad_user_id", "bad_item_id", "bad_rating", "bad_timestamp", "unrated", "empty"),
    }
)
"""Reasons with which a record may be refused, of those that `rejected_reviews` lists."""


@dataclass(frozen=True)
class Case:
    """A file of hostile input. `records`: how many it holds, where its shape says so for certain."""

    source: str
    kind: InputKind
    content: bytes
    records: int | None


def listed_reasons() -> frozenset[str]:
    """Words of the contract's list of reasons."""
    (column,) = (c for c in load_contract("rejected_reviews").columns if c.name == "reason")
    return frozenset(column.description.replace(",", " ").replace("(", " ").replace(";", " ").split())


_GOOD: Mapping[str, list[Any]] = {
    "user_id": ["u1", 7, "A B", "ü"], "item_id": ["i1", 10, "B000/1"], "rating": [1, 5, 4.5, "3", "2.0"],
    "timestamp": [1_718_000_000, "1718000000000", "2024-06-10T06:13:20Z", 1_718_000_000.0],
    "text": ["Bright tone.", "", "Bon café &amp; <b>more</b>", "word " * 100], "title": ["Good", None],
    "review_id": ["r1", 5, None], "creator": ["Acme"],
    "categories": [["A", "B"], "A > B", [["A"]]], "description": ["Plain.", ["x", "y"]],
}  # fmt: skip
_ODD_TEXTS = st.sampled_from(
    [
        "", " ", "NaN", "null", "\\N", "None", "007", "1.0", "1e5", "1e400", "-0", "Infinity", "9" * 50, "0" * 30, "13/09/2018",
        "9999-12-31", "99999-01-01", "2024-06-10 08:13:20 +0200", "Mon, 10 Jun 2024 06:13:20 GMT", "\ud800", "\udc00x", "\0",
        "\ufeff", "a\nb", 'q"q', "a,b;c\td|e", "\u2028", "<script>", "&#xD800;&#x110000;&bogus;", "<" * 300, "é" * 400,
        "e\u0301" * 200,
        "x" * 1000, "=cmd()", "{'a': True}", "u'free'", "[", "👩‍👩‍👧‍👧" * 30, "\u202e", "Ã©" * 20,
    ]
)  # fmt: skip
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**25), 10**25), st.floats(), _ODD_TEXTS, st.text(max_size=30),
    st.text(st.characters(categories=["Cs", "Cc", "Co", "Cn", "Lo", "Nd", "So"]), max_size=10),
)  # fmt: skip
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.text(max_size=5), st.sampled_from(["$oid", "$date", "$numberLong", "name"])), inner, max_size=2
        ),
    ),
    max_leaves=6,
)


@st.composite
def hostile_record(draw: st.DrawFn, adapter: Adapter, kind: InputKind) -> Row:
    """A record of a source, with some fields lost or strange."""
    record: Row = {}
    for field, keys in adapter.fields(kind).items():
        fate = draw(st.integers(0, 9))
        value = draw(VALUES) if fate == 0 else draw(st.sampled_from(_GOOD[field]))
        if fate != 1:
            _put(record, draw(st.sampled_from(keys)) if fate == 2 else keys[0], value)
    if draw(st.integers(0, 9)) == 0:
        record[draw(st.text(max_size=8))] = draw(VALUES)
    nests = draw(st.booleans())
    if adapter.nested and nests:
        inner = draw(st.lists(VALUES, max_size=2)) + [dict(record)] * draw(st.integers(0, 2))
        record[adapter.nested[draw(st.integers(0, len(adapter.nested) - 1))]] = inner
    return record


def _good_record(adapter: Adapter, kind: InputKind) -> Row:
    record: Row = {}
    for field, keys in adapter.fields(kind).items():
        _put(record, keys[0], _GOOD[field][0])
    return record


def _put(record: Row, key: str, value: Any) -> None:
    if "." in key:
        around, key = key.split(".", 1)
        inner = record.setdefault(around, {})
        record = inner if isinstance(inner, dict) else {}
    record[key] = value


@st.composite
def cases(draw: st.DrawFn, source: str, kind: InputKind) -> Case:
    """A file of hostile input of a source."""
    adapter = ADAPTERS[source]
    if draw(st.integers(0, 9)) == 0:
        begun = draw(
            st.sampled_from(
                [b"", b"{", b"[", b"PAR1", b"\x1f\x8b", b"BZh9", b"a,b\n", b"{'a'", b"\xef\xbb\xbf", b"\xff\xfe"]
            )
        )
        return Case(source, kind, begun + draw(st.binary(max_size=200)), None)
    made = draw(st.lists(hostile_record(adapter, kind), max_size=6))
    if draw(st.integers(0, 3)):  # one that carries every key, so that the file as a whole is not refused
        made.insert(draw(st.integers(0, len(made))), _good_record(adapter, kind))
    form = draw(st.sampled_from(sorted(adapter.formats)))
    content, count = _WRITTEN[form](draw, made)
    damage = draw(st.integers(0, 11))
    if damage == 0 and content:
        at = draw(st.integers(0, len(content) - 1))
        content, count = content[:at], None
    elif damage == 1:
        at = draw(st.integers(0, len(content)))
        content, count = content[:at] + draw(st.binary(max_size=4)) + content[at:], None
    packing = draw(st.integers(0, 9))
    if packing < 3 and form != "parquet":
        content = (gzip.compress, bz2.compress, _zstd)[packing](content)
    if adapter.nested:
        count = None  # a record holds any number of records
    return Case(source, kind, content, count)


def _zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def _json(draw: st.DrawFn, made: list[Row]) -> tuple[bytes, int | None]:
    shape = draw(
        st.sampled_from(["lines", "lines", "crlf", "array", "pretty", "pretty array", "joined", "commas", "mark"])
    )
    texts = [json.dumps(row, ensure_ascii=draw(st.booleans()), indent=2 if shape == "pretty" else None) for row in made]
    if shape == "pretty array":
        written = json.dumps(made, indent=1)
    elif shape == "array":
        written = f"[{', '.join(texts)}]"
    else:
        between = {"crlf": "\r\n", "joined": "", "commas": ",\n"}.get(shape, "\n")
        written = ("\ufeff" if shape == "mark" else "") + between.join(texts) + ("\n" if shape == "lines" else "")
    return written.encode(errors="surrogatepass"), len(made)


def _literals(draw: st.DrawFn, made: list[Row]) -> tuple[bytes, int | None]:
    # What repr writes of inf and nan is no literal; a line may be JSON as well.
    return "\n".join(map(repr, made)).encode(errors="surrogatepass"), len(made)


def _csv(draw: st.DrawFn, made: list[Row]) -> tuple[bytes, int | None]:
    columns = list(dict.fromkeys(key for row in made for key in row))
    out = io.StringIO()
    writer = csv.writer(
        out, delimiter=draw(st.sampled_from(",;\t|")), lineterminator=draw(st.sampled_from(["\n", "\r\n"]))
    )
    writer.writerow(columns)
    for row in made:
        writer.writerow([row.get(key, "") for key in columns])
    return out.getvalue().encode(errors="surrogatepass"), len(made) if columns else 0


def _parquet(draw: st.DrawFn, made: list[Row]) -> tuple[bytes, int | None]:
    columns: dict[str, pa.Array] = {}
    for key in dict.fromkeys(key for row in made for key in row):
        values = [row.get(key) for row in made]
        try:
            columns[key] = pa.array(values)
        except (pa.ArrowException, UnicodeEncodeError, OverflowError, ValueError, TypeError):
            columns[key] = pa.array(
                [None if v is None else str(v).encode(errors="surrogatepass") for v in values], pa.binary()
            )
    sink = io.BytesIO()
    try:
        pq.write_table(pa.table(columns), sink, row_group_size=draw(st.integers(1, 4)))
    except (pa.ArrowException, UnicodeEncodeError):
        return b"", 0
    return sink.getvalue(), len(made) if columns else 0


_WRITTEN = {"json": _json, "literals": _literals, "csv": _csv, "parquet": _parquet}


def judge(case: Case, folder: Path) -> tuple[int, int]:
    """Read a case as a night does; return records accepted and refused. Raises AssertionError for what must never be.

    A PipelineError refuses the file as a whole: (0, 0). Any other exception goes through.
    """
    path, adapter = folder / "input.json", ADAPTERS[case.source]
    path.write_bytes(case.content)
    parse, settings = (review_batches if case.kind == "reviews" else item_batches), ParsingSettings(LONGEST)
    accepted, refused, places = 0, 0, set()
    try:
        for file in check_files(path, case.kind, adapter):
            for split in splits(file):
                for batch in parse(records(split), adapter, settings):
                    batch.validate(full=True)
                    for row in batch.to_pylist():
                        places.add((row["source_line"], row["part"]))
                        if row["reason"] is None:
                            accepted += 1
                            _check_row(row, case.kind)
                        else:
                            refused += 1
                            assert row["reason"] in REASONS, row
                            assert row["detail"] is None or len(row["detail"]) <= 200, row
                            assert (row.get("text"), row["item_id"]) == (None, None), row
    except PipelineError as error:
        _check_message(error, str(path))
        return 0, 0
    assert len(places) == accepted + refused, "two records have one place"
    if case.records is not None:
        assert accepted + refused == case.records, f"{case.records} records written, {accepted} + {refused} read"
    if case.kind == "reviews":
        try:
            day_after_newest(GivenRecords("reviews", path, adapter), InteractionsConfig())
        except PipelineError as error:
            _check_message(error, "set AS_OF")
    return accepted, refused


def _check_message(error: PipelineError, part: str) -> None:
    told = str(error)
    assert part in told, error
    told.encode()


_FIRST, _LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def _check_row(row: Row, kind: InputKind) -> None:
    contract = load_contract(kind)
    for column in contract.columns:
        if column.name in row and not column.nullable:
            assert row[column.name] is not None, (column.name, row)
    assert row["item_id"], row
    if kind == "items":
        assert all(row["categories"]), row
        assert row["title"] is None or 0 < len(row["title"]) <= 300, row
        return
    assert row["user_id"], row
    assert row["review_id"], row
    assert 1 <= row["rating"] <= 5, row
    assert _FIRST <= row["reviewed_at"] <= _LAST, row
    assert len(row["text"]) <= LONGEST, row
    assert row["text"].isprintable() or not row["text"].isascii(), row
