"""The DAG as Airflow sees it: policy, and what parsing it may import."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROBE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({dags!r})
dag = bag.dags.get("nightly_recommendations")
print(json.dumps({{
    "errors": bag.import_errors,
    "heavy": sorted(set(("pyspark", "torch", "pandas", "persona_pipeline", "jobs", "great_expectations")) & set(sys.modules)),
    "dags": list(bag.dags),
    "doc": dag.doc_md, "catchup": dag.catchup, "max_active_runs": dag.max_active_runs,
    "tasks": {{t.task_id: {{
        "pool": t.pool, "retries": t.retries, "timeout": t.execution_timeout.total_seconds() / 3600,
        "backoff": bool(t.retry_exponential_backoff),
        "owner": t.owner, "upstream": sorted(t.upstream_task_ids), "outlets": [o.uri for o in t.outlets],
        "teardown": t.is_teardown, "command": (t.unmap({{"arguments": " --shard 0"}}) if t.is_mapped else t).bash_command,
        "rule": str(t.trigger_rule.value if hasattr(t.trigger_rule, "value") else t.trigger_rule), "mapped": t.is_mapped,
    }} for t in dag.tasks}},
}}))
"""


@pytest.fixture(scope="module")
def dag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    environment = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    code = PROBE.format(dags=str(ROOT / "dags"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_it_parses_and_imports_nothing_heavy(dag: dict[str, Any]) -> None:
    assert dag["errors"] == {}
    assert dag["dags"] == ["nightly_recommendations"]
    assert dag["heavy"] == []


def test_policy(dag: dict[str, Any]) -> None:
    assert dag["catchup"] is False
    assert dag["max_active_runs"] == 1
    assert "Owner:" in dag["doc"]
    assert "When it is red" in dag["doc"]
    pools = json.loads((ROOT / "dags" / "pools.json").read_text(encoding="utf-8"))
    for name, task in dag["tasks"].items():
        assert task["timeout"], name
        assert task["owner"] == "data-engineering"
        assert task["pool"] in {"default_pool", *pools}, name
        assert task["retries"] >= 1 or task["teardown"], name
        assert task["backoff"], name
        assert f"-m jobs.{name} " in task["command"]


def test_only_a_release_publishes(dag: dict[str, Any]) -> None:
    publishing = {name for name, task in dag["tasks"].items() if task["outlets"]}
    assert publishing == {"releases"}
    assert dag["tasks"]["releases"]["upstream"] == ["default_topk", "user_item_topk"]
    # A teardown does not decide the state of the run: a refused night stays red though its report was written.
    assert [name for name, task in dag["tasks"].items() if task["teardown"]] == ["report"]


def test_spark_and_models_have_their_pools(dag: dict[str, Any]) -> None:
    assert {name for name, task in dag["tasks"].items() if task["pool"] == "spark"} == {
        "reviews", "item_reviews", "user_histories", "training_pairs", "user_item_topk", "releases"
    }  # fmt: skip
    assert dag["tasks"]["item_personas"]["pool"] == "gpu"


def test_an_llm_is_asked_in_shards_and_committed_without_an_engine(dag: dict[str, Any]) -> None:
    shard = dag["tasks"]["extraction_shard"]
    assert (shard["mapped"], shard["pool"], shard["upstream"]) == (True, "gpu", ["extraction_plan"])
    assert shard["command"].endswith(" --shard 0")
    for stage in ("review_aspects", "item_summaries", "item_personas"):
        assert dag["tasks"][stage]["command"].endswith(" --no-engine")
        assert dag["tasks"][stage]["timeout"] == 12  # with the embedded extractor they do all the work
    # Without an LLM there is no shard, and the mapped task is skipped.
    assert dag["tasks"]["review_aspects"]["rule"] == "none_failed"
