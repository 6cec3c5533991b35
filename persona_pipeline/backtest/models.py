"""Rank test users by each evaluated model: the pipeline's test night, and baselines tuned on the same interactions.

Every model's ranked lists are cached on disk, under `_lists`.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from persona_pipeline.backtest.split_runs import LENGTH, SplitRun, SplitRuns, fingerprint
from persona_pipeline.config import EncodersConfig, load_config
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.evaluate.baseline_grids import COLLABORATIVE
from persona_pipeline.evaluate.baselines import tune_and_rank
from persona_pipeline.evaluate.dataset import EvaluationDataset
from persona_pipeline.evaluate.leakage import require_nothing_withheld
from persona_pipeline.evaluate.recommendation_lists import load, recommended, save
from persona_pipeline.evaluate.results import Evaluated
from persona_pipeline.model_registry.registry import encoder_rows, settings_of
from persona_pipeline.runs.order import ORDER
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.fingerprints import baselines_code, reviews_digest

MODEL = "persona"
VALIDATION = "validation_ndcg@10"
"""Key in a baseline's settings of what they were chosen by."""

PREPARED = ORDER[: ORDER.index("encoders")]
SCORED = ORDER[ORDER.index("encoders") : ORDER.index("releases")]


def personas(
    split_runs: SplitRuns, test: SplitRun, dataset: EvaluationDataset, truth: pa.Table, seed: int
) -> Evaluated:
    """Recommend by the test night, which chooses the settings that its configuration leaves open.

    A later seed trains again under the settings that the first chose.

    Raises LeakError where the night knows withheld reviews.
    """
    first = load_config(split_runs.request.config).encoders.seed
    settings: dict[str, Any] = {"seed": first + seed}
    if seed:
        settings = chosen_settings(test.warehouse, first).model_dump(mode="json") | settings | {"tuned": []}
    night = split_runs.configured(test, settings)
    kept = split_runs.root / "_lists" / f"{MODEL}-{seed}-{night.made_from()}.parquet"
    run = load(kept)
    if run is None:
        split_runs.run(night, SCORED)
        require_nothing_leaked(test, truth)
        found = recommended(test.warehouse, dataset.user_ids, dataset.item_ids, LENGTH)
        config = chosen_settings(test.warehouse, first + seed)
        run = Evaluated(MODEL, seed, config.model_dump(mode="json"), found)
        save(kept, run)
    return run


def chosen_settings(warehouse: Warehouse, seed: int) -> EncodersConfig:
    """Return the settings of the newest encoder with this seed. Raises PipelineError where there is none."""
    for row in encoder_rows(warehouse):
        settings = settings_of(row)
        if settings.seed == seed:
            return settings
    raise PipelineError(f"{warehouse.root} has no encoder of seed {seed}")


def baselines(
    split_runs: SplitRuns, parts: tuple[SplitRun, SplitRun], dataset: EvaluationDataset
) -> Iterator[Evaluated]:
    """Tune, fit and rank every family of baselines on the nights' interactions; families with a random seed once per seed."""
    # Not from the nights' configuration: baselines read interactions and nothing else.
    known = [reviews_digest(part.warehouse) for part in parts]
    made_from = fingerprint(split_runs.inputs, *known, baselines_code(), str(LENGTH))
    for family in COLLABORATIVE:
        drawn = any("seed" in type(config).model_fields for config in family.configs)
        for seed in range(split_runs.request.seeds if drawn else 1):
            kept = split_runs.root / "_lists" / f"{family.name}-{seed}-{made_from}.parquet"
            run = load(kept)
            if run is None:
                started = time.monotonic()
                with split_runs.console.status(f"{family.name} ..."):
                    found = tune_and_rank(
                        family, dataset.tuning, dataset.validation, dataset.test, dataset.users, LENGTH, seed
                    )
                run = Evaluated(family.name, seed, {**found.settings, VALIDATION: found.validation_ndcg}, found.lists)
                save(kept, run)
                told = f"{family.name:<16} {time.monotonic() - started:>6.1f} s"
                split_runs.console.print(
                    f"  [green]✓[/] {told}  [dim]validation NDCG@10 {found.validation_ndcg:.4f}[/]"
                )
            yield run


def reference_of(runs: Sequence[Evaluated]) -> str:
    """Name the reference model for paired comparisons: the collaborative baseline best on validation, else the first model."""
    names = {family.name for family in COLLABORATIVE}
    tuned = [run for run in runs if run.model in names]
    return max(tuned, key=_validation).model if tuned else runs[0].model


def require_nothing_leaked(part: SplitRun, pairs: pa.Table) -> None:
    """Raise LeakError where a night knows withheld reviews.

    `pairs` (user_id, item_id) are the targets: where a withheld review may have an older review of the same user and
    item, only the pairs must be unknown.
    """
    require_nothing_withheld(part.warehouse, part.withheld, pairs if part.repeats else None)


def _validation(run: Evaluated) -> float:
    return float(str(run.settings[VALIDATION]))
