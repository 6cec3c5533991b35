"""Tune baselines on validation interactions, refit the best settings on all known ones, and rank test users.

Every family has the same budget, `SETTINGS`: model settings times history half-lives times popularity weights. The
choice depends on tuning and validation interactions alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.model import Model, ModelConfig, with_popularity
from persona_pipeline.core.arrays import offsets_of
from persona_pipeline.evaluate.metrics import CUTOFF, RelevantItems, per_user, top_lists

Config = TypeVar("Config", bound=ModelConfig)

SETTINGS = 48  # a family's budget
HISTORY_HALF_LIVES = (None, 3.0)
POPULARITY_WEIGHTS = (0.0, 0.25, 0.5, 1.0)  # at 1 a model and log popularity vary about as much

_BLOCK = 1 << 22  # scores held at a time


@dataclass(frozen=True)
class Family(Generic[Config]):
    """A kind of model and its grid: every combination of model settings, history half-lives and popularity weights."""

    name: str
    fit: Callable[[Interactions, Config], Model]
    configs: Sequence[Config]
    half_lives: Sequence[float | None] = HISTORY_HALF_LIVES
    popularity_weights: Sequence[float] = POPULARITY_WEIGHTS

    @property
    def settings(self) -> int:
        """Number of settings tried."""
        return len(self.configs) * len(self.half_lives) * len(self.popularity_weights)


@dataclass(frozen=True)
class Tuned(Generic[Config]):
    """The best settings found and their mean NDCG@10 on validation."""

    config: Config
    half_life: float | None
    popularity_weight: float
    ndcg: float


@dataclass(frozen=True)
class TunedLists:
    """A tuned family's lists, (users, k) int64 catalogue indices, best first, -1 where no item is left."""

    name: str
    settings: dict[str, object]
    validation_ndcg: float
    lists: np.ndarray


def tune_and_rank(
    family: Family[Config],
    tuning: Interactions,
    validation: tuple[np.ndarray, np.ndarray],
    test: Interactions,
    users: np.ndarray,
    k: int = 20,
    seed: int = 0,
) -> TunedLists:
    """Choose settings on `tuning` and `validation`, fit them on `test` and rank for its `users`.

    Args:
        family: the models, and their grid.
        tuning: interactions to fit on while settings are compared.
        validation: rows of `tuning.user_ids` and indices in `tuning.item_ids`, the interactions to predict, (n,) each.
        test: interactions known at test time; targets are not among them.
        users: rows of `test.user_ids` to rank for.
        k: length of a list. Items a user has interacted with are left out.
        seed: of models with randomness.

    Raises:
        ValueError: there are no validation interactions.
    """
    tuned = tune(family, tuning, validation, seed)
    model = family.fit(test, _seeded(tuned.config, seed))
    lists = _lists(model, test, users, tuned.half_life, [tuned.popularity_weight], k)[0]
    settings = {
        **tuned.config.model_dump(exclude={"seed"}),
        "history_half_life": tuned.half_life,
        "popularity_weight": tuned.popularity_weight,
    }
    return TunedLists(family.name, settings, tuned.ndcg, lists)


def tune(
    family: Family[Config], tuning: Interactions, validation: tuple[np.ndarray, np.ndarray], seed: int = 0
) -> Tuned[Config]:
    """Choose the settings of highest mean NDCG@10 over users with validation interactions; the first tried among equals.

    Raises:
        ValueError: there are no validation interactions.
    """
    rows, items = validation
    if not len(rows):
        raise ValueError(f"no validation interactions to tune {family.name} on")
    users, sizes = np.unique(rows, return_counts=True)
    truth = RelevantItems(items[np.argsort(rows, kind="stable")], offsets_of(sizes))
    best: Tuned[Config] | None = None
    for config in family.configs:
        model = family.fit(tuning, _seeded(config, seed))
        for half_life in family.half_lives:
            lists = _lists(model, tuning, users, half_life, family.popularity_weights, CUTOFF)
            for weight, ranked in zip(family.popularity_weights, lists, strict=True):
                ndcg = float(per_user(ranked, truth, [CUTOFF])[f"ndcg@{CUTOFF}"].mean())
                if best is None or ndcg > best.ndcg:
                    best = Tuned(config, half_life, weight, ndcg)
    assert best is not None, f"{family.name} has no settings"
    return best


def _lists(
    model: Model,
    interactions: Interactions,
    users: np.ndarray,
    half_life: float | None,
    popularity_weights: Sequence[float],
    k: int,
) -> np.ndarray:
    """Rank under each weight of popularity, (weights, users, k); the model scores each user once."""
    counts, seen = interactions.counts(), interactions.matrix()[users]
    histories = interactions.histories(half_life)[users]
    lists = np.empty((len(popularity_weights), len(users), k), dtype=np.int64)
    step = max(1, _BLOCK // max(len(counts), 1))
    for start in range(0, len(users), step):
        block = slice(start, start + step)
        scores = model.scores(histories[block])
        for place, weight in enumerate(popularity_weights):
            lists[place, block] = top_lists(with_popularity(scores, counts, weight), seen[block], k)
    return lists


def _seeded(config: Config, seed: int) -> Config:
    return config.model_copy(update={"seed": seed}) if "seed" in type(config).model_fields else config
