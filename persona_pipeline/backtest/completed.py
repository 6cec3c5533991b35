"""Read a finished backtest back from its folder: evaluation data, the tables of each night, and the chosen settings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from persona_pipeline.backtest.models import chosen_settings
from persona_pipeline.backtest.variants import KnownData
from persona_pipeline.config import EncodersConfig, PipelineConfig
from persona_pipeline.core.arrays import offsets_of
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.evaluate.dataset import EvaluationDataset, make_dataset
from persona_pipeline.evaluate.metrics import RelevantItems
from persona_pipeline.evaluate.splits import later_interactions
from persona_pipeline.runs.log import attempts, run_rows
from persona_pipeline.warehouse import Warehouse


@dataclass(frozen=True)
class CompletedBacktest:
    """A finished backtest.

    Attributes:
        dataset: test users with their targets, and interactions, for every model.
        tuning, test: training data of the two nights.
        validation: interaction_id, user_id, item_id of the validation interactions.
        asked: (users,) rows of `dataset.tuning.user_ids` with validation interactions.
        answers: the validation items of these users.
        config: the encoder settings chosen by the test night, at the first seed.
        pipeline: configuration of the test night.
        warehouses: of the tuning and of the test night.
    """

    dataset: EvaluationDataset
    tuning: KnownData
    test: KnownData
    validation: pa.Table
    asked: np.ndarray
    answers: RelevantItems
    config: EncodersConfig
    pipeline: PipelineConfig
    warehouses: tuple[Warehouse, Warehouse]


def _configuration(test: Warehouse) -> PipelineConfig:
    """Configuration of the test night at its first seed. Raises PipelineError where no encoder was trained there."""
    trained = attempts(test)
    configs = [
        PipelineConfig.model_validate_json(row["config"])
        for row in reversed(run_rows(test))
        if any(one.task == "encoders" and one.succeeded for one in trained.get(row["run_id"], ()))
    ]
    if not configs:
        raise PipelineError(
            f"{test.root.parent} holds no finished backtest: no encoder was trained there; run one first"
        )
    return min(configs, key=lambda config: config.encoders.seed)


def read_completed(root: Path) -> CompletedBacktest:
    """Read the backtest in `root`. Raises PipelineError where the folder holds no finished backtest."""
    everything, tuning, test = (Warehouse(root / name) for name in ("all", "tuning", "test"))
    config = _configuration(test)
    validation = later_interactions(test, tuning)
    dataset = make_dataset(everything, tuning, test, validation, later_interactions(everything, test))
    rows, items = dataset.validation
    order = np.argsort(rows, kind="stable")
    asked, sizes = np.unique(rows, return_counts=True)
    return CompletedBacktest(
        dataset,
        KnownData.of(tuning, config, dataset.tuning),
        KnownData.of(test, config, dataset.test),
        validation,
        asked,
        RelevantItems(items[order], offsets_of(sizes)),
        chosen_settings(test, config.encoders.seed),
        config,
        (tuning, test),
    )
