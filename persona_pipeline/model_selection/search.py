"""Search the encoder's settings by coordinate descent on a temporal hold-out: predict each user's newest liked interaction.

The newest liked interaction is taken out of pairs, histories, popularity and prior (`holdout`), and its review out of
the item's embedding (`training_data(blind=True)`). A head is trained for every trial and evaluated with its best
mixture of popularity and prior. Trials of one stage are compared with the current settings, paired by user; the trial
with the largest gain less 1.5 standard errors is taken, if that is above zero: where users are few or settings make no
difference, the settings stay. At the end the mixture is chosen on a finer grid: the mean of the mixtures that cannot be
told from the best.
"""

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.fit import fit_head
from persona_pipeline.encoder.history_weights import examples_of
from persona_pipeline.encoder.training_data import TrainingData
from persona_pipeline.model_selection.budget import EASE_SHARE, GRIDS_SHARE, ease_seconds, fit_seconds, most_users
from persona_pipeline.model_selection.holdout import hold_out
from persona_pipeline.model_selection.next_item import held_out_interactions
from persona_pipeline.model_selection.score_fusion import PRIORS, Mixture, Mixtures, middle_of, mixtures, reached
from persona_pipeline.model_selection.search_result import ChosenSettings, SettingsTrial
from persona_pipeline.model_selection.search_stages import SearchStage, stages

logger = logging.getLogger(__name__)

MIN_USERS = 100
"""Fewer tell nothing: their standard error swallows every difference."""
CAUTION = 1.5
"""Standard errors by which a gain must exceed zero. Of many trials some are better by luck, and what stands is not arbitrary."""
MOVED = 10
"""Users at least for whom something must change: a handful of lucky ones has a small standard error."""
MOST_USERS = 20_000
_GRIDS = 400  # mixtures ranked in a search, about


def search_settings(data: TrainingData, interactions: Interactions, config: EncodersConfig) -> ChosenSettings:
    """Choose the settings to train with: `config`, except for the settings it leaves to the search (`config.tuned`).

    Args:
        data: `blind`, under `config`.
        interactions: `liked_interactions` of the same warehouse.
        config: start of the search, and the settings that are not tuned.
    """
    search = _Search(data, interactions, config)
    if search.users < MIN_USERS:
        return ChosenSettings(config, 0, 0.0, 0.0, (), 0)
    return search.run()


class _Search:
    """State of one search, with its remaining time budget."""

    def __init__(self, data: TrainingData, interactions: Interactions, config: EncodersConfig) -> None:
        self._parts, self._config = hold_out(data, interactions), config
        self._masked = self._parts.masked()
        self._item_ids, counts = np.unique(
            data.personas["item_id"].to_numpy(zero_copy_only=False).astype(str), return_counts=True
        )
        self._slots = int(counts.max(initial=1))
        self._seconds = 60 * config.tuning_minutes
        self._left = (1 - GRIDS_SHARE) * self._seconds
        self._ease_seconds = ease_seconds(len(interactions.item_ids))
        affordable = self._ease_seconds <= EASE_SHARE * self._seconds
        self._kinds = tuple(kind for kind in PRIORS if kind != "ease" or affordable)
        self._priors: dict[tuple[str, float], Prior] = {}
        self._judged: dict[str, np.ndarray] = {}
        self._trials: list[SettingsTrial] = []
        self._left_out = 0
        self.users = 0
        if min(self._parts.newest.num_rows, self._parts.data.pairs.num_rows) >= MIN_USERS:
            most = min(MOST_USERS, most_users(self._seconds, len(self._item_ids), _GRIDS))
            self._asked = held_out_interactions(
                self._parts.data, self._parts.interactions, self._parts.newest, self._item_ids, most
            )
            self.users = self._asked.users

    def run(self) -> ChosenSettings:
        """Repeat passes over all stages until a pass changes nothing, choose the mixture, and compare the result with the start."""
        first = self._reached(self._config, mixtures(self._config, self._kinds))
        start = first.values[0]
        # The kind of prior that suits the start is the one stages are judged with.
        kinds = tuple(kind for kind in self._kinds if kind == _kind_of(first))
        coarse = [first.tried.index(mixture) for mixture in mixtures(self._config, kinds, coarse=True)]
        values = max((first.values[place] for place in coarse), key=lambda found: float(found.mean()))
        self._judged[self._config.model_dump_json()] = values
        stands, before = self._config, None
        while stands != before:
            before, self._left_out = stands, 0
            for stage in stages(stands, self._parts.data.fields):
                stands, values = self._staged(stage, stands, values, kinds)
        fine = first if stands == self._config else self._reached(stands, mixtures(stands, self._kinds))
        mixture, values = self._mixed(fine, stands)
        if not _is_sure(values - start):
            # Every step was better beside the mixture it was judged with, and yet together they are not.
            untaken = tuple(replace(trial, taken=False) for trial in self._trials)
            mean = float(start.mean())
            return ChosenSettings(self._config, self.users, mean, mean, untaken, self._left_out)
        config = stands.model_copy(update=mixture)
        return ChosenSettings(
            config, self.users, float(start.mean()), float(values.mean()), tuple(self._trials), self._left_out
        )

    def _staged(
        self, stage: SearchStage, stands: EncodersConfig, values: np.ndarray, kinds: tuple[str, ...]
    ) -> tuple[EncodersConfig, np.ndarray]:
        """Return the settings after a stage, and (users,) their NDCG@10."""
        best: tuple[float, EncodersConfig, np.ndarray] = (0.0, stands, values)
        made: list[tuple[EncodersConfig, SettingsTrial]] = []
        for settings in stage.tried(stands):
            config = stands.model_copy(update=settings)
            known = config.model_dump_json() in self._judged
            reached = self._judge(config, kinds)
            if reached is None:
                continue
            trial = _trial(settings, stands, values, reached)
            logger.info("tuning: %s", trial.told())
            surplus = trial.gain - CAUTION * trial.error
            if _is_sure(reached - values) and surplus > best[0]:
                best = (surplus, config, reached)
            if not known or best[1] is config:
                made.append((config, trial))
            if stage.until_worse and trial.gain + CAUTION * trial.error < 0:
                break
        self._trials += [replace(trial, taken=config is best[1]) for config, trial in made]
        return best[1], best[2]

    def _judge(self, config: EncodersConfig, kinds: tuple[str, ...]) -> np.ndarray | None:
        """NDCG@10 (users,) of a configuration with its best mixture.

        None where the time budget or the training pairs do not suffice.
        """
        key = config.model_dump_json()
        if key not in self._judged:
            if self._fit_seconds(config) > self._left:
                self._left_out += 1
                return None
            if examples_of(self._parts.data.pairs, config).num_rows < MIN_USERS:
                return None
            found = self._reached(config, mixtures(config, kinds, coarse=True))
            self._judged[key] = found.values[found.best()]
        return self._judged[key]

    def _mixed(self, fine: Mixtures, stands: EncodersConfig) -> tuple[Mixture, np.ndarray]:
        """Choose the mixture, and return (users,) its NDCG@10: the current one, or the mean of those as good as the best.

        Which of many mixtures comes out best by a hair is luck; their mean is not.
        """
        gains = fine.values - fine.values[0]
        errors = gains.std(axis=1, ddof=1) / np.sqrt(self.users)
        best = int((gains.mean(axis=1) - CAUTION * errors).argmax())
        if not _is_sure(gains[best]):
            return fine.tried[0], fine.values[0]
        mixture, values = fine.tried[best], fine.values[best]
        middle = middle_of([fine.tried[place] for place in fine.as_good(CAUTION)], stands)
        found = self._reached(stands, [middle])
        if _is_sure(found.values[0] - fine.values[0]):
            mixture, values = middle, found.values[0]
        before: Mixture = fine.tried[0]
        changed = {name: value for name, value in mixture.items() if value != before[name]}
        self._trials.append(replace(_trial(changed, stands, fine.values[0], values), taken=True))
        return mixture, values

    def _reached(self, config: EncodersConfig, tried: list[Mixture]) -> Mixtures:
        self._left -= self._fit_seconds(config)
        single = config.model_copy(update={"heads": 1})
        data = self._parts.data.weighed(single)
        head, catalogue, _ = fit_head(data, single)

        def prior_of(kind: str) -> Prior:
            key = (kind, config.age_half_life_days)
            if key not in self._priors:
                self._left -= self._ease_seconds if kind == "ease" else 0.0
                wanted = config.model_copy(update={"prior": kind})
                self._priors[key] = Prior.fit(self._parts.interactions, wanted)
            return self._priors[key]

        return reached(head, catalogue, data, self._asked, self._masked, single, tried, prior_of)

    def _fit_seconds(self, config: EncodersConfig) -> float:
        data = self._parts.data
        size = (data.pairs.num_rows, len(self._item_ids), self._slots, data.persona_texts.shape[1])
        return fit_seconds(config, *size)


def _is_sure(gains: np.ndarray) -> bool:
    """Whether (users,) gains exceed zero by enough standard errors, and are not those of a handful of users."""
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return bool(gains.mean() > CAUTION * error and np.count_nonzero(gains) >= MOVED)


def _kind_of(found: Mixtures) -> str:
    """The kind of prior of the best mixture that has one; `none` where no mixture has."""
    with_prior = [n for n, mixture in enumerate(found.tried) if mixture["prior"] != "none"]
    if not with_prior:
        return "none"
    best = max(with_prior, key=lambda n: float(found.values[n].mean()))
    return str(found.tried[best]["prior"])


def _trial(settings: dict[str, Any], stands: EncodersConfig, values: np.ndarray, tried: np.ndarray) -> SettingsTrial:
    difference = tried - values
    error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
    before = {name: getattr(stands, name) for name in settings}
    return SettingsTrial(settings, before, float(tried.mean()), float(difference.mean()), error, False)
