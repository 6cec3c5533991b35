"""What is checked before Airflow starts; whole nights by it are in tests/test_night.py."""

from pathlib import Path

import pytest
from rich.console import Console

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.orchestrate import airflow
from persona_pipeline.orchestrate.airflow import NightlyRequest, run_night


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow, "AIRFLOW", tmp_path / "airflow")
    request = NightlyRequest(tmp_path / "warehouse", "synthetic", None, None, None, "local", None)
    with pytest.raises(PipelineError, match=r"needs apache-airflow, .*persona-pipeline\[nightly\]"):
        run_night(request, Console(quiet=True))
    assert not (tmp_path / "warehouse").exists()
