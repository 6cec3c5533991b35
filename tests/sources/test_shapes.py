"""What a file holds is told from its beginning."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import REVIEW, json_lines, lines, write

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.containers import HEAD
from persona_pipeline.sources.shapes import Shape, recognise

ONE = json.dumps(REVIEW)
PRETTY = json.dumps(REVIEW, indent=2)
BY_LINE, WHOLE = Shape("json"), Shape("json", by_line=False)
COLUMNS = ("user_id", "rating")

SHAPES: dict[str, tuple[str, Shape | None]] = {
    "a line": (ONE, BY_LINE),
    "lines": (f"{ONE}\n{ONE}\n", BY_LINE),
    "lines behind blank ones": (f"\n \r\n{ONE}\n", BY_LINE),
    "CRLF": (f"{ONE}\r\n{ONE}\r\n", BY_LINE),
    "a mark": (f"\ufeff{ONE}\n", BY_LINE),
    "several objects on a line": (f"{ONE}{ONE}\n{ONE}\n", BY_LINE),
    "lines whose first is cut off": (f"{ONE[:60]}\n{ONE}\n{ONE}\n", BY_LINE),
    "lines whose first is cut off behind a colon": ('{"user_id": \n' + f"{ONE}\n", BY_LINE),
    "lines whose first is a word": (f"nothing\n{ONE}\n", BY_LINE),
    "lines whose texts hold U+2028 and U+0085": ('{"text": "a\u2028b\u0085c"}\n{"text": "d"}\n', BY_LINE),
    "a raw tab in a text": ('{"text": "a\tb"}\n{"text": "c"}\n', BY_LINE),
    "an array on a line": (f"[{ONE}, {ONE}]", WHOLE),
    "an array over lines": (f"[\n{ONE},\n{ONE}\n]\n", WHOLE),
    "an array whose first record is on the first line": (f"[{ONE},\n{ONE}]\n", WHOLE),
    "an array that is cut off": (f"[{ONE},\n{ONE[:40]}", WHOLE),
    "a pretty array": (json.dumps([REVIEW, REVIEW], indent=1), WHOLE),
    "arrays by line": (f"[{ONE}]\n[{ONE}, {ONE}]\n", BY_LINE),
    "pretty objects": (f"{PRETTY}\n{PRETTY}\n", WHOLE),
    "pretty objects with commas": (f"{PRETTY},\n{PRETTY}\n", WHOLE),
    "a pretty object that is cut off": (PRETTY[:70], WHOLE),
    "an empty array": ("[]", WHOLE),
    "a long line": (json.dumps({**REVIEW, "text": "x" * (HEAD + 9)}) + "\n", BY_LINE),
    "a long array on a line": ("[" + ",".join([ONE] * 3000) + "]", WHOLE),
    "literals": ("{'user_id': 'u', 'more': None}\n{'user_id': \"it's\"}\n", Shape("literals")),
    "literals of which the first are JSON": ('{"asin": "1"}\n', BY_LINE),
    "CSV": ("user_id,rating\nu1,5\n", Shape("csv", columns=COLUMNS)),
    "TSV": ("user_id\trating\nu1\t5\n", Shape("csv", columns=COLUMNS, delimiter="\t")),
    "CSV with semicolons": ("user_id;rating\nu1;4,5\n", Shape("csv", columns=COLUMNS, delimiter=";")),
    "CSV with bars": ("user_id|rating\nu1|5\n", Shape("csv", columns=COLUMNS, delimiter="|")),
    "CSV with a mark and quotes": ('\ufeff"user_id","rating"\r\n"u1","5"\r\n', Shape("csv", columns=COLUMNS)),
    "CSV of a header alone": ("user_id,rating\n", Shape("csv", columns=COLUMNS)),
    "CSV of pandas, with an index": (",user_id,rating\n0,u1,5\n", Shape("csv", columns=("", *COLUMNS))),
    "CSV whose first row is short": ("user_id,rating\nu1\nu2,5\n", Shape("csv", columns=COLUMNS)),
    "CSV with lines within quotes": ('user_id,rating\n"u\n1",5\n', Shape("csv", columns=COLUMNS)),
    "CSV of texts that are JSON": ('user_id,rating\n"{""a"": 1}",5\n', Shape("csv", columns=COLUMNS)),
    "nothing": ("", None),
    "blank lines": (" \n\t\r\n\n", None),
}


@pytest.mark.parametrize(("text", "shape"), SHAPES.values(), ids=SHAPES)
def test_what_a_file_holds(tmp_path: Path, text: str, shape: Shape | None) -> None:
    assert recognise(write(tmp_path / "r", text)) == shape


REFUSED = {
    "none of the first 2 lines is a JSON object, and the file is neither CSV nor Parquet$": "hello\nyou\n",
    "this looks like JSON, but none of the first 9 lines is an object": '{"a" 1}\n' * 9,
    "this looks like JSON, but none of the first 1 lines is an object": "[1, 2, 3]",
    "lines end with a carriage return alone": "user_id,rating\ru1,5\r",
}


@pytest.mark.parametrize(("message", "text"), REFUSED.items())
def test_what_is_no_file_of_records_says_what_it_is(tmp_path: Path, message: str, text: str) -> None:
    with pytest.raises(SourceError, match=message):
        recognise(write(tmp_path / "r", text))


def test_json_nested_beyond_measure_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="this looks like JSON"):
        recognise(write(tmp_path / "r", '{"a": ' + "[" * 100_000))


def test_columns_of_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": ["u1"], "rating": [5]}), tmp_path / "r")
    assert recognise(tmp_path / "r") == Shape("parquet", columns=COLUMNS)


def test_a_file_is_told_by_a_hundred_lines(tmp_path: Path) -> None:
    noise = "#\n" * 90
    assert recognise(write(tmp_path / "r", noise + json_lines(lines(3)))) == BY_LINE
