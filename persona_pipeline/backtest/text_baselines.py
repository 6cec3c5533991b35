"""Evaluate baselines on the personas' texts: zero-shot cosine models, and trained encoders with one vector per item.

Cosine models are tuned like any baseline. Trained ones use the test night's settings, except the weights of popularity
and prior, which are tuned for each as the night tunes them.
"""

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from persona_pipeline.backtest.ablations import SINGLE_VECTORS, Change, item_profiles, item_texts
from persona_pipeline.backtest.models import VALIDATION
from persona_pipeline.backtest.split_runs import LENGTH, SplitRun, SplitRuns, fingerprint
from persona_pipeline.backtest.variants import KnownData, ranked
from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig, load_config
from persona_pipeline.embeddings.model_names import trained_from
from persona_pipeline.encoder.training_data import TrainingData
from persona_pipeline.evaluate.baseline_grids import content
from persona_pipeline.evaluate.baselines import tune_and_rank
from persona_pipeline.evaluate.dataset import EvaluationDataset
from persona_pipeline.evaluate.recommendation_lists import load, save
from persona_pipeline.evaluate.results import Evaluated
from persona_pipeline.model_selection.search import search_settings
from persona_pipeline.warehouse.fingerprints import baselines_code, files_digest

ZERO_SHOT: dict[str, Callable[[TrainingData, np.ndarray], np.ndarray]] = {
    "item text, zero-shot": item_texts,
    "item profile, zero-shot": item_profiles,
}

_MIXTURE = ("popularity_weight", "prior", "prior_weight")


class TextBaselines:
    """Iterate over the text baselines of one backtest; the nights' data is read only when a cached list is missing."""

    def __init__(
        self,
        split_runs: SplitRuns,
        parts: tuple[SplitRun, SplitRun],
        dataset: EvaluationDataset,
        settings: EncodersConfig,
    ) -> None:
        self._split_runs, self._parts, self._problem = split_runs, parts, dataset
        mixture = {"tuned": tuple(name for name in _MIXTURE if name in settings.tuned)}
        self._config = settings.model_copy(update=mixture)
        self._settings: dict[str, EncodersConfig] = {}
        code = files_digest(sorted(Path(__file__).parent.glob("*.py")))
        made = (part.night.made_from() for part in parts)
        self._made_from = fingerprint(*made, settings.model_dump_json(), baselines_code(), code, str(LENGTH))

    def __iter__(self) -> Iterator[Evaluated]:
        for name, vectors in ZERO_SHOT.items():
            yield self._kept(name, 0, partial(self._zero_shot, name, vectors))
        for name, change in SINGLE_VECTORS.items():
            for seed in range(self._split_runs.request.seeds):
                yield self._kept(name, seed, partial(self._trained, name, change, seed))

    @cached_property
    def _known(self) -> tuple[KnownData, KnownData]:
        """Training data of the tuning and of the test night."""
        tuning, test = self._parts
        config = load_config(self._split_runs.request.config)
        mine = KnownData.of(tuning.warehouse, config, self._problem.tuning)
        return mine, KnownData.of(test.warehouse, config, self._problem.test)

    @cached_property
    def _untrained(self) -> tuple[KnownData, KnownData]:
        """The same data over the untrained base model, where the test night fine-tuned its base; the tuning night never does."""
        tuning, test = self._known
        if trained_from(test.base_model) == test.base_model:
            return tuning, test
        config = load_config(self._split_runs.request.config)
        return tuning, KnownData.of(self._parts[1].warehouse, config, self._problem.test, tuned=False)

    def _zero_shot(self, name: str, vectors: Callable[[TrainingData, np.ndarray], np.ndarray]) -> Evaluated:
        dataset, (tuning, test) = self._problem, self._untrained

        def of(interactions: Interactions) -> np.ndarray:
            known = test if interactions is dataset.test else tuning
            return vectors(known.data, interactions.item_ids)

        found = tune_and_rank(
            content(name, of), dataset.tuning, dataset.validation, dataset.test, dataset.users, LENGTH
        )
        return Evaluated(name, 0, {**found.settings, VALIDATION: found.validation_ndcg}, found.lists)

    @cached_property
    def _blind(self) -> KnownData:
        """Training data of the test night without the held-out reviews' texts, to choose settings on."""
        config = load_config(self._split_runs.request.config)
        return KnownData.of(self._parts[1].warehouse, config, self._problem.test, blind=True)

    def _tuned(self, name: str, change: Change) -> EncodersConfig:
        """Choose settings once for all seeds."""
        if name not in self._settings:
            known, config = self._blind.changed(change, self._config)
            chosen = search_settings(known.data, known.liked, config).config if config.tuned else config
            self._settings[name] = chosen
        return self._settings[name]

    def _trained(self, name: str, change: Change, seed: int) -> Evaluated:
        tuned = self._tuned(name, change)
        settings = tuned.model_copy(update={"seed": self._config.seed + seed})
        changed, config = self._known[1].changed(change, settings)
        lists = ranked(changed.encoder(config), changed, self._problem.users)
        return Evaluated(name, seed, config.model_dump(mode="json"), lists)

    def _kept(self, name: str, seed: int, make: Callable[[], Evaluated]) -> Evaluated:
        path = self._split_runs.root / "_lists" / f"{name.replace(' ', '_')}-{seed}-{self._made_from}.parquet"
        run = load(path)
        if run is None:
            console = self._split_runs.console
            with console.status(f"{name} ..."):
                run = make()
            save(path, run)
            console.print(f"  [green]✓[/] {name}, seed {seed}")
        return run
