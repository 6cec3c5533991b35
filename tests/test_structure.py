"""One noun per stage, thin jobs, and packages that load nothing heavy."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import ORDER
from persona_pipeline.contracts import load_contract, table_names

ROOT = Path(__file__).resolve().parents[1]
JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("*.py") if path.stem not in ("__init__", "runner"))
ASKING = {"extraction_plan", "extraction_shard"}  # ask ahead for the stages, which without Airflow ask for themselves
NOT_TABLES = {"report", "extraction_shard"}  # a page, and rows for the response cache


def task_ids(dag: str) -> set[str]:
    tree = ast.parse((ROOT / "dags" / f"{dag}.py").read_text(encoding="utf-8"))
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("JobOperator", "JobOperator.partial")
    ]
    return {str(ast.literal_eval(k.value)) for call in calls for k in call.keywords if k.arg == "task_id"}


def test_a_task_for_every_job_and_a_job_for_every_task() -> None:
    nightly, backtest = task_ids("nightly_recommendations"), task_ids("backtest")
    assert nightly == {"runs", *ORDER} | ASKING
    assert backtest == {"evaluation_metrics"}
    assert nightly | backtest == set(JOBS)


def test_every_job_makes_the_table_of_its_name() -> None:
    assert set(JOBS) - NOT_TABLES <= set(table_names())


def test_every_job_is_run_by_a_test_of_its_name() -> None:
    assert {path.stem for path in (ROOT / "tests" / "jobs").glob("test_*.py")} == {f"test_{job}" for job in JOBS}


@pytest.mark.parametrize("table", table_names())
def test_every_table_has_a_maker_and_expectations(table: str) -> None:
    assert load_contract(table).made_by in (*JOBS, "people")
    suite = json.loads((ROOT / "expectations" / f"{table}.json").read_text(encoding="utf-8"))
    assert suite["name"] == table
    sql = (ROOT / "expectations" / f"{table}.sql").read_text(encoding="utf-8")
    for expectation in suite["expectations"]:
        assert f" {expectation['kwargs']['column']}" in sql
        assert expectation["meta"]["notes"]


@pytest.mark.parametrize("table", table_names())
def test_a_table_is_kept_as_its_role_asks(table: str) -> None:
    contract = load_contract(table)
    kept = {"published": {"as_released"}, "state": {"as_released", "all_rows"}, "cache": {"until_emptied"}}
    assert contract.retention in kept.get(contract.role, {"as_released", "all_rows"})


def test_no_expectations_without_a_table() -> None:
    assert {path.stem for path in (ROOT / "expectations").iterdir()} == set(table_names())


@pytest.mark.parametrize("job", [*JOBS, "runner"])
def test_jobs_stay_short(job: str) -> None:
    assert len((ROOT / "jobs" / f"{job}.py").read_text(encoding="utf-8").splitlines()) <= 100


def test_tables_reference_is_current() -> None:
    from persona_pipeline.commands.tables import tables_reference

    assert (ROOT / "docs" / "tables.md").read_text(encoding="utf-8") == tables_reference(table_names()), (
        "run `make docs`"
    )


HEAVY = ("airflow", "great_expectations", "implicit", "pyspark", "sentence_transformers", "torch", "vllm")


@pytest.mark.parametrize(
    "module",
    [
        "persona_pipeline",
        "persona_pipeline.commands.app",
        "persona_pipeline.collaborative.als",
        "persona_pipeline.collaborative.lightgcn",
        "persona_pipeline.config",
        "persona_pipeline.contracts",
        "persona_pipeline.backtest",
        "persona_pipeline.evaluate.baseline_grids",
        "persona_pipeline.model_selection.gate",
        "persona_pipeline.evaluate.published_rankings",
        "persona_pipeline.evaluate.results",
        "persona_pipeline.encoder.finetune.__main__",
        "persona_pipeline.encoder.finetune.prepared",
        "persona_pipeline.encoder.cf_prior",
        "persona_pipeline.encoder.item_embeddings",
        "persona_pipeline.extract.types",
        "persona_pipeline.orchestrate.airflow",
        "persona_pipeline.publish.audit",
        "persona_pipeline.publish.retention",
        "persona_pipeline.publish.rollback",
        "persona_pipeline.commands.releases_console",
        "persona_pipeline.commands.releases",
        "persona_pipeline.report",
        "persona_pipeline.embeddings.cache",
        "persona_pipeline.warehouse",
        *(f"jobs.{job}" for job in JOBS),
    ],
)
def test_import_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
