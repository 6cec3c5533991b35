"""Run a whole backtest: nights, models, leakage check, evaluation, and rows of `evaluation_metrics`."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from persona_pipeline.backtest.models import (
    PREPARED,
    baselines,
    personas,
    reference_of,
    require_nothing_leaked,
)
from persona_pipeline.backtest.split_runs import BacktestRequest, SplitRun, SplitRuns, fingerprint
from persona_pipeline.config import EncodersConfig, load_config
from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.core.terminal import counted
from persona_pipeline.evaluate.dataset import EvaluationDataset, make_dataset
from persona_pipeline.evaluate.results import Evaluated, Results, evaluate, show
from persona_pipeline.evaluate.splits import later_interactions
from persona_pipeline.orchestrate.local import Summary
from persona_pipeline.warehouse import Warehouse

TABLE = "evaluation_metrics"


def run_backtest(request: BacktestRequest, console: Console) -> Summary:
    """Run a backtest, print each model's metrics, and write `evaluation_metrics` and the metrics of every user.

    Raises:
        ConfigError, SourceError: the request is invalid.
        LeakError: a night knows a review that was withheld from it.
        PipelineError: a job failed, or there is nothing to evaluate.
    """
    split_runs, test, dataset, runs, settings = _judged(request, console)
    results = evaluate(runs, dataset.truth, dataset.slices(), dataset.test.counts(), reference_of(runs))
    console.print()
    show(results, console)
    return _write(split_runs, test, dataset, results, settings)


def judged(request: BacktestRequest, console: Console) -> list[Evaluated]:
    """Return every model's ranked lists, for further comparisons; raises as `run_backtest`, and writes no metrics."""
    return _judged(request, console)[3]


def _judged(
    request: BacktestRequest, console: Console
) -> tuple[SplitRuns, SplitRun, EvaluationDataset, list[Evaluated], dict[str, Any]]:
    """Return the nights, the test night, the evaluation data, every model's ranked lists, and the encoder's settings."""
    split_runs = SplitRuns(request, console)
    everything = split_runs.everything()
    tuning, test = split_runs.parts(everything)
    validation = later_interactions(test.warehouse, tuning.warehouse)
    truth = later_interactions(everything, test.warehouse)
    for rows, asked in ((validation, "to tune on"), (truth, "to test on")):
        if not rows.num_rows:
            raise PipelineError(
                f"--split {request.split}: nothing {asked}: no user of {request.named} did anything new after what the "
                "night knows of them. Users with three reviews are needed, or another day"
            )
    for name, part in (("tuning", tuning), ("test", test)):
        console.print(f"[bold]{name}[/]: personas and pairs")
        split_runs.run(part.night, PREPARED)
    require_nothing_leaked(tuning, pa.concat_tables([validation, truth]))
    dataset = make_dataset(everything, tuning.warehouse, test.warehouse, validation, truth)
    console.print(f"[bold]models[/]: lists for {counted(len(dataset.user_ids), 'user')}")
    runs = [personas(split_runs, test, dataset, truth, seed) for seed in range(request.seeds)]
    if request.baselines:
        runs += baselines(split_runs, (tuning, test), dataset)
        from persona_pipeline.backtest.text_baselines import (
            TextBaselines,  # torch and its seconds only where it is used
        )

        runs += TextBaselines(split_runs, (tuning, test), dataset, EncodersConfig.model_validate(runs[0].settings))
    return split_runs, test, dataset, runs, dict(runs[0].settings)


def _write(
    split_runs: SplitRuns, test: SplitRun, dataset: EvaluationDataset, results: Results, settings: dict[str, Any]
) -> Summary:
    """Write rows of `evaluation_metrics`, keeping other evaluations, and metrics by user; return the job's summary."""
    request = split_runs.request
    asked = {"split": request.split, "seeds": request.seeds, "baselines": request.baselines, "settings": settings}
    config = load_config(
        request.config, {"extraction": {"extractor": request.extractor}} if request.extractor else None
    )
    evaluation_id = fingerprint(split_runs.inputs, config.digest(), json.dumps(asked, sort_keys=True))
    warehouse = Warehouse(split_runs.root, {"job": TABLE, "as_of": split_runs.as_of.isoformat()})
    others = warehouse.read(TABLE, where=f"evaluation_id <> '{evaluation_id}'")
    rows = results.rows(evaluation_id, test.night.as_of, request.named.name, request.split)
    written = warehouse.replace(TABLE, pa.concat_tables([others.cast(rows.schema), rows]))
    by_user = split_runs.root / "_evaluations" / f"{evaluation_id}.parquet"
    with atomic_file(by_user) as partial:
        pq.write_table(results.per_user(dataset.user_ids.tolist()), partial)
    split_runs.console.print(f"table   {warehouse.path(TABLE)} ({evaluation_id})", soft_wrap=True)
    split_runs.console.print(f"by user {by_user}", soft_wrap=True)
    return {
        "evaluation_id": evaluation_id,
        "users": len(dataset.user_ids),
        "models": sorted({run.model for run in results.runs}),
        "reference": results.reference,
        "settings": settings,
        "by_user": str(by_user.relative_to(split_runs.root)),
        "written": [written.as_dict()],
    }
