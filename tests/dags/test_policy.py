"""What holds for every DAG, and what parsing it may import."""

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_they_parse_and_import_nothing_heavy(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert bag["files"] == {"nightly_recommendations": "nightly_recommendations", "backtest": "backtest"}
    assert bag["heavy"] == []


@pytest.mark.parametrize("name", ["nightly_recommendations", "backtest"])
def test_policy(bag: dict[str, Any], name: str) -> None:
    dag = bag["dags"][name]
    assert dag["catchup"] is False
    assert dag["max_active_runs"] == 1
    assert "Owner:" in dag["doc"]
    assert "When it is red" in dag["doc"]
    pools = json.loads((ROOT / "dags" / "pools.json").read_text(encoding="utf-8"))
    for task_id, task in dag["tasks"].items():
        assert task["timeout"], task_id
        assert task["owner"] == "data-engineering"
        assert task["pool"] in {"default_pool", *pools}, task_id
        assert task["retries"] >= 1 or task["teardown"], task_id
        assert task["backoff"], task_id
        assert f"-m jobs.{task_id} " in task["command"]
