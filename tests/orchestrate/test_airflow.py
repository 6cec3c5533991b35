"""What is checked before Airflow starts; whole nights by it are in tests/test_night.py."""

from pathlib import Path

import pytest
from rich.console import Console

from persona_pipeline.core.errors import PipelineError
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
