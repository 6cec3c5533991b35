"""Read input files as a night does, without Spark: checked, split, parsed."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from persona_pipeline.config import InteractionsConfig, ReviewsConfig
from persona_pipeline.sources.adapters import InputKind, configured
from persona_pipeline.sources.files import check_files, splits
from persona_pipeline.sources.given import GivenRecords
from persona_pipeline.sources.newest import day_after_newest
from persona_pipeline.sources.parsing import ParsingSettings, item_batches, review_batches
from persona_pipeline.sources.records import Record, Split, records
from persona_pipeline.sources.shapes import recognise

Row = dict[str, Any]
REVIEW: Row = {"user_id": "u1", "item_id": "i1", "rating": 5, "text": "Bright tone.", "timestamp": 1_718_000_000}


def rows(path: Path, source: str = "jsonl", kind: InputKind = "reviews", **settings: Any) -> list[Row]:
    """Rows that the records of a file or folder become, in their order. `settings` are those of `reviews`."""
    config = ReviewsConfig(**settings)
    adapter = configured(source, config)
    batches = review_batches if kind == "reviews" else item_batches
    return [
        row
        for file in check_files(path, kind, adapter)
        for split in splits(file)
        for batch in batches(records(split), adapter, ParsingSettings(config.max_characters))
        for row in batch.to_pylist()
    ]


def newest(path: Path, source: str = "jsonl") -> date:
    """The day after the newest review of a file or folder, on 1 July 2024."""
    given = GivenRecords("reviews", path, configured(source, ReviewsConfig()))
    return day_after_newest(given, InteractionsConfig(), now=datetime(2024, 7, 1, tzinfo=UTC))


def users(path: Path, source: str = "jsonl", **settings: Any) -> list[str | None]:
    """The user of each record, None where it was refused."""
    return [row["user_id"] for row in rows(path, source, **settings)]


def refusals(path: Path, source: str = "jsonl", **settings: Any) -> dict[int, str]:
    """Reasons of the refused records of a file, by line."""
    return {row["source_line"]: row["reason"] for row in rows(path, source, **settings) if row["reason"]}


def read(path: Path) -> list[Record]:
    """The records of a file."""
    shape = recognise(path)
    assert shape is not None
    return list(records(Split(path, shape)))


def lines(count: int, **fields: Any) -> list[Row]:
    """Reviews of as many users of as many items."""
    return [{**REVIEW, "user_id": f"u{n}", "item_id": f"i{n}", **fields} for n in range(count)]


def json_lines(given: Sequence[Any]) -> str:
    """Reviews, one a line."""
    return "".join(json.dumps(row) + "\n" for row in given)


def write(path: Path, content: str | bytes | Sequence[Any]) -> Path:
    """Write a file: text, bytes, or rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str | bytes) else json_lines(content)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
