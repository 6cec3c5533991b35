"""The backtest's DAG as Airflow sees it."""

import shlex
from typing import Any

import jinja2
import pytest

PARAMS: dict[str, Any] = {
    "as_of": "2024-06-30", "warehouse": "/srv/back test", "config": "local", "extractor": None, "source": "jsonl",
    "reviews": "r.jsonl", "items": None, "split": "leave-last-out", "seeds": 3, "baselines": True, "cache": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({}, []),
        ({"baselines": False, "cache": "/srv/shop"}, ["--cache", "/srv/shop", "--no-baselines"]),
    ],
)
def test_its_one_task_says_what_to_split_and_where(
    bag: dict[str, Any], params: dict[str, Any], told: list[str]
) -> None:
    [(name, task)] = bag["dags"]["backtest"]["tasks"].items()
    assert name == "evaluation_metrics"
    environment = jinja2.Environment(autoescape=False)
    environment.filters |= {"quote": shlex.quote, "ds": str}
    words = shlex.split(environment.from_string(task["command"]).render(params=PARAMS | params))
    assert words[words.index("--warehouse") + 1] == "/srv/back test"
    assert words[words.index("--split") :] == ["--split", "leave-last-out", "--seeds", "3", *told]
