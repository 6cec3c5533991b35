"""What is checked before Airflow starts; whole nights by it are in tests/test_night.py."""

import gzip
import os
from pathlib import Path

import pytest
from rich.console import Console

from persona_pipeline.core.errors import PipelineError, TransientError
from persona_pipeline.orchestrate import airflow
from persona_pipeline.orchestrate.airflow import NightlyRequest, _params, run_night


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow, "AIRFLOW", tmp_path / "airflow")
    request = NightlyRequest(tmp_path / "warehouse", "synthetic", None, None, None, "local", None)
    with pytest.raises(PipelineError, match=r"needs apache-airflow, .*persona-pipeline\[nightly\]"):
        run_night(request, Console(quiet=True))
    assert not (tmp_path / "warehouse").exists()


@pytest.mark.parametrize("configured", [False, True])
def test_events_alone_are_a_night_as_of_the_day_after_the_newest(tmp_path: Path, configured: bool) -> None:
    events, config = tmp_path / "events.csv", tmp_path / "mine.yaml"
    events.write_text("user_id,item_id,timestamp\nana,capo,2024-06-01\nben,capo,2024-06-03T10:00:00\n")
    config.write_text("interactions: {file: events.csv}\n" if configured else "user_item_topk: {k: 5}\n")
    request = NightlyRequest(
        tmp_path / "warehouse", "jsonl", None, None, None, str(config), None, None if configured else events
    )
    params = _params(request, tmp_path / "warehouse")
    assert (params["as_of"], params["reviews"], params["interactions"]) == ("2024-06-04", None, str(events))


def test_a_night_of_nothing_is_refused(tmp_path: Path) -> None:
    request = NightlyRequest(tmp_path / "warehouse", "jsonl", None, None, None, "local", None)
    with pytest.raises(PipelineError, match=r"SOURCE=jsonl needs REVIEWS=, .* or INTERACTIONS="):
        _params(request, tmp_path / "warehouse")


@pytest.mark.parametrize("as_of", [None, "2024-07-01"])
@pytest.mark.parametrize("filled", ["reviews", "items", "blocks"])
def test_nothing_is_read_of_a_folder_that_is_still_being_filled(tmp_path: Path, filled: str, as_of: str | None) -> None:
    line = '{"user_id": "u", "item_id": "i", "rating": 5, "timestamp": "2024-06-01"}\n'
    for name in ("reviews", "items", "blocks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part-0.json").write_text(line)
        os.utime(tmp_path / name / "part-0.json", (1, 1))
    (tmp_path / filled / "part-1.json.gz").write_bytes(gzip.compress(line.encode())[:20])  # a copy under way
    config = tmp_path / "mine.yaml"
    config.write_text("{reviews: {wait_minutes: 0}, eligibility: {blocks: blocks}}\n")
    request = NightlyRequest(
        tmp_path / "warehouse", "jsonl", tmp_path / "reviews", tmp_path / "items", as_of, str(config), None
    )
    with pytest.raises(TransientError, match=rf"{filled}.* is still being filled: part-1\.json\.gz was written"):
        _params(request, tmp_path / "warehouse")
