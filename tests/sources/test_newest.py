"""The day after the newest review is the first that leaves nothing out."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import REVIEW, json_lines, newest, write

from persona_pipeline.config import InteractionsConfig
from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.adapters import adapter, of_interactions
from persona_pipeline.sources.digests import digest_of
from persona_pipeline.sources.given import GivenRecords
from persona_pipeline.sources.newest import day_after_newest

NOW = datetime(2024, 7, 1, tzinfo=UTC)
LATE = "2024-06-20"


@pytest.mark.parametrize(
    ("source", "content"),
    [
        (
            "jsonl",
            json_lines([{**REVIEW, "timestamp": "2024-02-28T23:59:59Z"}, {**REVIEW, "timestamp": "soon"}])
            + "{broken\n",
        ),
        ("jsonl", json_lines([{**REVIEW, "timestamp": {"$date": {"$numberLong": "1709164799000"}}}])),
        ("jsonl", json_lines([{**REVIEW, "timestamp": 1709164799.0}])),
        ("csv", "user_id,item_id,rating,timestamp\nu1,i1,5,1709164799\nu2,i1,5,NaN\n"),
        ("amazon2014", "{'reviewerID': 'A', 'asin': 'B', 'overall': 5.0, 'unixReviewTime': 1709164799}\n"),
    ],
)
def test_the_day_after_the_newest_review(tmp_path: Path, source: str, content: str) -> None:
    assert newest(write(tmp_path / "r", content), source) == date(2024, 2, 29)


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.float64(), pa.timestamp("ms"), pa.timestamp("ns", "UTC"), pa.date32(), pa.string()]
)
def test_the_day_after_the_newest_review_of_parquet(tmp_path: Path, kind: pa.DataType) -> None:
    moment = pa.array([datetime(2024, 2, 28, tzinfo=UTC), None])
    seconds = pa.array([1_709_078_400, None])
    column = seconds.cast(kind) if pa.types.is_integer(kind) or pa.types.is_floating(kind) else moment.cast(kind)
    table = pa.table({"user_id": ["u1", "u2"], "item_id": ["i", "j"], "rating": [5, 4], "timestamp": column})
    pq.write_table(table, tmp_path / "r.parquet")
    assert newest(tmp_path / "r.parquet", "parquet") == date(2024, 2, 29)


@pytest.mark.parametrize(
    "far",
    ["9999-12-31", "9999-12-31T23:59:59.999999Z", "2524-01-01", 253402300799, 1e30, 33_000_000_000_000, "2024-07-03"],
)
def test_a_date_that_is_far_ahead_moves_no_night(tmp_path: Path, far: Any) -> None:
    given = [REVIEW, {**REVIEW, "timestamp": far}, {**REVIEW, "timestamp": "2024-05-01"}]
    assert newest(write(tmp_path / "r.jsonl", given)) == date(2024, 6, 11)


def test_a_review_of_today_is_newest(tmp_path: Path) -> None:
    assert newest(write(tmp_path / "r.jsonl", [{**REVIEW, "timestamp": "2024-07-01T22:00:00Z"}])) == date(2024, 7, 2)


def test_without_any_date_a_night_has_to_be_named(tmp_path: Path) -> None:
    def told(*stamps: Any) -> str:
        path = write(tmp_path / "r.jsonl", [{**REVIEW, "timestamp": stamp} for stamp in stamps])
        with pytest.raises(SourceError) as caught:
            newest(path)
        return str(caught.value).replace(str(path), "FILE")

    ending = "; set AS_OF to a date such as 2024-06-30"
    assert (
        told("soon", "0") == f"reviews: of the reviews of FILE none that can be used has a readable timestamp{ending}"
    )
    assert told("2999-01-01", "9999-01-01", "soon") == f"reviews: of the reviews of FILE 2 lie in the future{ending}"


@pytest.mark.parametrize(
    "refused", [{"rating": 9}, {"rating": None}, {"user_id": [1]}, {"item_id": None}, {"user_id": "\ud83d"}]
)
def test_a_review_that_is_refused_decides_nothing(tmp_path: Path, refused: dict[str, Any]) -> None:
    given = [REVIEW, {**REVIEW, "timestamp": LATE, **refused}]
    assert newest(write(tmp_path / "r.jsonl", given)) == date(2024, 6, 11)


def test_an_event_that_is_refused_decides_nothing(tmp_path: Path) -> None:
    events = InteractionsConfig(weights={"purchase": 1})
    bought = {"user_id": "u", "item_id": "i", "kind": "purchase", "timestamp": "2024-06-10"}
    path = write(tmp_path / "e.jsonl", [bought, {**bought, "kind": "shrug", "timestamp": LATE}])
    given = GivenRecords("interactions", path, of_interactions("jsonl", events))
    assert day_after_newest(given, events, now=NOW) == date(2024, 6, 11)


def test_a_file_that_was_parsed_is_not_read_again(tmp_path: Path) -> None:
    old = write(tmp_path / "in/a.jsonl", [REVIEW])
    given = GivenRecords("reviews", tmp_path / "in", adapter("jsonl"))
    events, known = InteractionsConfig(), {digest_of(old): datetime(2024, 6, 15, tzinfo=UTC)}
    assert day_after_newest(given, events, known, NOW) == date(2024, 6, 16)  # as the night that parsed it says
    write(tmp_path / "in/b.jsonl", [{**REVIEW, "timestamp": LATE}])
    assert day_after_newest(given, events, known, NOW) == date(2024, 6, 21)
    known = {digest_of(old): datetime(9999, 1, 1, tzinfo=UTC)}  # behind which lie others
    (tmp_path / "in/b.jsonl").unlink()
    assert day_after_newest(given, events, known, NOW) == date(2024, 6, 11)
