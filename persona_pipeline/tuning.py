"""Settings of the encoder that foretell interactions withheld from a night best: `jobs.encoders --held-out`.

First how history is weighed and how long the head is trained, a head each; then, on the best head's scores, how much
popularity and a collaborative prior are worth. Nothing in the night may know the interactions (`evaluate.leaks`).
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.fitting import fit_head
from persona_pipeline.encoder.prior import Prior
from persona_pipeline.encoder.retraining import TrainingData
from persona_pipeline.foretelling import Asked, ask, head_scores, ndcg, popularity, popularity_scores, prior_scores

logger = logging.getLogger(__name__)

HALF_LIVES = {"rank": (1.0, 3.0, 5.0, 10.0), "days": (30.0, 180.0, 720.0)}
STEPS = (50, 100, 200)
POPULARITY_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
POPULARITY_SUPPORTS = (0.0, 1.0, 2.0)
PRIORS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("none", (0.0,)),
    ("prox_knn", (0.5, 1.0, 2.0, 4.0, 8.0)),
    ("ease", (0.5, 1.0, 2.0, 4.0, 8.0)),
)
AS_GOOD = 0.99  # of the best NDCG@10: within it, the setting that leans least on popularity and on others is taken
_CELLS = 8_000_000  # users x items scored at once


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting tried, and the NDCG@10 it reached."""

    settings: dict[str, Any]
    ndcg: float


def tuned_settings(
    data: TrainingData, interactions: Interactions, held_out: pa.Table, config: EncodersConfig
) -> tuple[dict[str, Any], list[Trial]]:
    """Settings for the section `encoders`, and every trial.

    Args:
        data, interactions: of a night that does not know what is held out.
        held_out: user_id, item_id. Users without a usable history and items without a persona are left out.
        config: what is not tuned.

    Raises:
        PipelineError: no user is left.
    """
    item_ids = np.unique(data.personas["item_id"].to_numpy(zero_copy_only=False).astype(str))
    asked = ask(data, interactions, held_out, item_ids, max(1, _CELLS // len(item_ids)))
    counts = popularity(data, item_ids)
    trials: list[Trial] = []
    best: tuple[float, dict[str, Any], np.ndarray] | None = None
    for half_life, steps in product(HALF_LIVES[config.recency], STEPS):
        tried = config.model_copy(update={"half_life": half_life, "steps": steps, "heads": 1})
        head, catalogue, _ = fit_head(data, tried)
        scores = head_scores(head, catalogue, data.interaction_profiles, asked.histories, tried)
        for weight in POPULARITY_WEIGHTS:
            settings = {"half_life": half_life, "steps": steps, "popularity_weight": weight}
            liked = popularity_scores(counts, asked.histories, config)
            trials.append(Trial(settings, _mean(scores + weight * liked, asked)))
        reached = max(trial.ndcg for trial in trials[-len(POPULARITY_WEIGHTS) :])
        logger.info("half-life %g, %d steps: NDCG@10 %.4f", half_life, steps, reached)
        if best is None or reached > best[0]:
            best = (reached, {"half_life": half_life, "steps": steps}, scores)
    assert best is not None
    _, chosen, scores = best
    fused = list(_fused(scores, counts, interactions, item_ids, asked, config.model_copy(update=chosen)))
    trials += [Trial(chosen | trial.settings, trial.ndcg) for trial in fused]
    return chosen | _least_leaning(fused).settings, trials


def _least_leaning(trials: list[Trial]) -> Trial:
    enough = AS_GOOD * max(trial.ndcg for trial in trials)
    good = [trial for trial in trials if trial.ndcg >= enough]
    return min(good, key=lambda t: (t.settings["prior_weight"] > 0, t.settings["popularity_weight"], -t.ndcg))


def _fused(
    scores: np.ndarray,
    counts: np.ndarray,
    interactions: Interactions,
    item_ids: np.ndarray,
    asked: Asked,
    config: EncodersConfig,
) -> Iterator[Trial]:
    for name, prior_weights in PRIORS:
        prior = Prior.fit(interactions, config.model_copy(update={"prior": name}))
        others = prior_scores(prior, item_ids, asked.histories, config)
        for support in POPULARITY_SUPPORTS:
            liked = popularity_scores(
                counts, asked.histories, config.model_copy(update={"popularity_support": support})
            )
            for prior_weight, weight in product(prior_weights, POPULARITY_WEIGHTS):
                settings = {
                    "popularity_weight": weight,
                    "popularity_support": support,
                    "prior": name,
                    "prior_weight": prior_weight,
                }
                yield Trial(settings, _mean(scores + weight * liked + prior_weight * others, asked))


def _mean(scores: np.ndarray, asked: Asked) -> float:
    return float(ndcg(scores, asked).mean())
