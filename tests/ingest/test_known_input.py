"""What earlier nights know of files of input."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from helpers import arrow

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.ingest.known_input import newest_parsed
from persona_pipeline.orchestrate.airflow import NightlyRequest, _params
from persona_pipeline.sources.adapters import adapter
from persona_pipeline.sources.digests import digest_of
from persona_pipeline.sources.input_state import parsed_name, parser_key
from persona_pipeline.warehouse import Warehouse

NEWEST = datetime(2024, 6, 10, 8, tzinfo=UTC)


def parsed_before(warehouse: Warehouse, digest: str, config: ReviewsConfig) -> None:
    """As if an earlier night had parsed a file of this digest."""
    name = parsed_name(digest, parser_key(adapter("jsonl"), config, None, ""))
    row = {"name": "r.jsonl", "bytes": 1, "digest": digest, "format": "json", "parsed_file": name, "parsed_in": "r"}
    counts = {"records": 1, "refused": 0, "erased": 0, "newest_at": NEWEST}
    warehouse.replace("input_files", arrow("input_files", [{**row, **counts}]))


def test_the_newest_review_is_known_of_files_parsed_alike(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "wh")
    assert newest_parsed(warehouse, adapter("jsonl"), ReviewsConfig()) == {}
    parsed_before(warehouse, "d", ReviewsConfig())
    assert newest_parsed(warehouse, adapter("jsonl"), ReviewsConfig()) == {"d": NEWEST}
    assert newest_parsed(warehouse, adapter("csv"), ReviewsConfig()) == {}
    assert newest_parsed(warehouse, adapter("jsonl"), ReviewsConfig(max_characters=100)) == {}


@pytest.mark.parametrize("known", [False, True])
def test_the_night_is_the_day_after_what_is_known(tmp_path: Path, known: bool) -> None:
    reviews = tmp_path / "r.jsonl"
    reviews.write_text('{"user_id": "u", "item_id": "i", "rating": 5, "timestamp": "2024-05-01"}\n')
    if known:
        parsed_before(Warehouse(tmp_path / "wh"), digest_of(reviews), ReviewsConfig())
    request = NightlyRequest(tmp_path / "wh", "jsonl", reviews, None, None, "local", None)
    assert _params(request, tmp_path / "wh")["as_of"] == ("2024-06-11" if known else "2024-05-02")
