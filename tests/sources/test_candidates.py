"""Rows of another recommender to candidates, on real files and Spark: nothing is lost, every refusal has its reason and line."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from persona_pipeline.config import CandidatesConfig
from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.candidates import ParsedCandidates, parse_candidates, require_usable
from persona_pipeline.sources.table_files import check_table
from persona_pipeline.sources.table_kinds import CANDIDATES
from persona_pipeline.sources.table_rows import read_rows

Row = tuple[Any, ...]


def parse(spark: SparkSession, path: Path, pseudonymous: bool = False) -> ParsedCandidates:
    files = check_table(path, CANDIDATES)
    users = spark.createDataFrame([("ana",), ("ben",)], "user_id string")
    items = spark.createDataFrame([(item,) for item in ("capo", "picks", "strap", "tuner", "7")], "item_id string")
    named = str.upper if pseudonymous else None
    return parse_candidates(read_rows(spark, files, named), files, users, items, pseudonymous)


def rows(parsed: ParsedCandidates) -> list[Row]:
    return sorted((r["user_id"], r["rank"], r["item_id"], r["score"]) for r in parsed.rows.collect())


def refused(parsed: ParsedCandidates) -> dict[int, Row]:
    return {r["source_line"]: (r["source_file"], r["reason"], r["detail"]) for r in parsed.rejected.collect()}


def test_json_lines_by_score(spark: SparkSession, tmp_path: Path) -> None:
    lines: list[Any] = [
        {"user_id": "ana", "item_id": "capo", "score": 0.5},
        {"user_id": "ana", "item_id": "tuner", "score": "2"},
        {"user_id": "ana", "item_id": "picks", "score": 0.5, "other": 1},
        "{broken",
        {"user_id": " ", "item_id": "capo", "score": 1},
        {"user_id": "ana", "item_id": None, "score": 1},
        "",
        {"user_id": "ana", "item_id": "strap"},
        {"user_id": "ana", "item_id": "strap", "score": "mail ana@example.org"},
        {"user_id": "ana", "item_id": "strap", "score": "NaN"},
        {"user_id": "ana", "item_id": "capo", "score": 0.1},
        {"user_id": "eve", "item_id": "capo", "score": 1},
        {"user_id": "eve", "item_id": "drum", "score": 1},
        {"user_id": "ana", "item_id": "drum", "score": 9},
    ]
    path = tmp_path / "lists.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    parsed = parse(spark, path)
    # By score, equals by item id; the place of an unknown item is closed up.
    assert rows(parsed) == [("ana", 1, "tuner", 2.0), ("ana", 2, "capo", 0.5), ("ana", 3, "picks", 0.5)]
    assert refused(parsed) == {
        4: (path.name, "not_json", None),
        5: (path.name, "missing_user_id", None),
        6: (path.name, "missing_item_id", None),
        8: (path.name, "missing_score", None),
        9: (path.name, "bad_score", "mail [email]"),
        10: (path.name, "missing_score", None),
        11: (path.name, "repeated", None),
    }
    assert (parsed.lines, sum(parsed.reasons.values())) == (13, 7)
    assert (parsed.unknown_users, parsed.unknown_items, parsed.unknown) == (2, 2, 3)


def test_no_id_is_kept_of_users_with_pseudonyms(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "lists.jsonl"
    path.write_text(
        '{"user_id": "max", "item_id": "capo", "score": "no"}\n{"user_id": "max", "item_id": "capo", "sco\n'
    )
    kept = parse(spark, path, pseudonymous=True).rejected.orderBy("source_line").collect()
    assert [row["text"] for row in kept] == ['{"user_id": "MAX", "item_id": "capo", "score": "no"}', ""]
    assert "max" in parse(spark, path).rejected.where("reason = 'not_json'").collect()[0]["text"]


def test_csv_by_rank(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "lists.csv"
    path.write_text(
        'rank,item_id,note,user_id\n2,capo,"a, quoted",ana\n1,picks,,ana\n5,"tuner",x,ben\n'
        "0,strap,x,ben\none,strap,x,ben\n,strap,x,ben\n1,strap\n3,picks,x,ana\n2.0,strap,x,ana\n"
    )
    parsed = parse(spark, path)
    assert rows(parsed) == [
        ("ana", 1, "picks", None),
        ("ana", 2, "capo", None),
        ("ana", 3, "strap", None),
        ("ben", 1, "tuner", None),
    ]
    reasons = {line: reason for line, (_, reason, _) in refused(parsed).items()}
    assert reasons == {5: "bad_rank", 6: "bad_rank", 7: "missing_rank", 8: "not_csv", 9: "repeated"}
    assert parsed.lines == 9


def test_parquet_rows_are_numbered(spark: SparkSession, tmp_path: Path) -> None:
    columns = {"user_id": ["ana", None, "ana"], "item_id": [7, 7, None], "score": [1.0, 2.0, 3.0], "rank": [4, 5, 6]}
    pq.write_table(pa.table(columns), tmp_path / "lists.parquet")
    parsed = parse(spark, tmp_path / "lists.parquet")
    assert rows(parsed) == [("ana", 1, "7", 1.0)]
    assert refused(parsed) == {
        2: ("lists.parquet", "missing_user_id", None),
        3: ("lists.parquet", "missing_item_id", None),
    }


@pytest.mark.parametrize(
    ("reasons", "unknown", "said"),
    [
        ({"bad_rank": 5, "repeated": 50}, 4, None),
        ({"bad_rank": 4, "not_csv": 2}, 0, r"6 of 100 records refused .* 5\.0%\): bad_rank 4, not_csv 2\. They are in the table"),
        ({}, 21, r"21 of 100 rows name a user or an item the night does not know \(users: 20 rows, items: 3;"),
    ],
)  # fmt: skip
def test_too_much_is_refused(reasons: dict[str, int], unknown: int, said: str | None) -> None:
    nothing: Any = None
    parsed = ParsedCandidates(nothing, nothing, 100, reasons, 20, 3, unknown)
    if said is None:
        require_usable(parsed, CandidatesConfig())
    else:
        with pytest.raises(SourceError, match=said):
            require_usable(parsed, CandidatesConfig())
