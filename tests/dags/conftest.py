"""The DAGs as Airflow sees them, parsed once."""

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
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
bag = BundleDagBag({dags!r}, bundle_path=Path({dags!r}))
def described(dag):
    return {{"doc": dag.doc_md, "catchup": dag.catchup, "max_active_runs": dag.max_active_runs, "tasks": {{t.task_id: {{
        "pool": t.pool, "queue": t.queue, "retries": t.retries, "timeout": t.execution_timeout.total_seconds() / 3600,
        "backoff": bool(t.retry_exponential_backoff),
        "owner": t.owner, "upstream": sorted(t.upstream_task_ids), "outlets": [o.uri for o in t.outlets],
        "teardown": t.is_teardown, "command": (t.unmap({{"arguments": " --shard 0"}}) if t.is_mapped else t).bash_command,
        "rule": str(t.trigger_rule.value if hasattr(t.trigger_rule, "value") else t.trigger_rule), "mapped": t.is_mapped,
    }} for t in dag.tasks}}}}
print(json.dumps({{
    "errors": bag.import_errors,
    "heavy": sorted(set(("pyspark", "torch", "pandas", "persona_pipeline", "jobs", "great_expectations")) & set(sys.modules)),
    "files": {{dag_id: Path(dag.fileloc).stem for dag_id, dag in bag.dags.items()}},
    "dags": {{dag_id: described(dag) for dag_id, dag in bag.dags.items()}},
}}))
"""


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process that does nothing but parse the DAGs finds."""
    home = tmp_path_factory.mktemp("airflow")
    told = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PERSONA_GPU_QUEUE": "gpus"}
    environment = {**os.environ, **told}
    code = PROBE.format(dags=str(ROOT / "dags"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
