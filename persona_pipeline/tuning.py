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
import pyarrow.compute as pc
import torch
from scipy.sparse import csr_array

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.fitting import fit_head
from persona_pipeline.encoder.head import aggregate
from persona_pipeline.encoder.prior import Prior
from persona_pipeline.encoder.recency import recency_weights
from persona_pipeline.encoder.retraining import TrainingData
from persona_pipeline.errors import PipelineError
from persona_pipeline.evaluate.metrics import Truth, per_user, top_lists

logger = logging.getLogger(__name__)

HALF_LIVES = (1.0, 3.0, 5.0, 10.0)
STEPS = (50, 100, 200)
POPULARITY_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
PRIORS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("none", (0.0,)),
    ("prox_knn", (0.5, 1.0, 2.0, 4.0, 8.0)),
    ("ease", (0.5, 1.0, 2.0, 4.0, 8.0)),
)
AS_GOOD = 0.99  # of the best NDCG@10: within it, the setting that leans least on popularity and on others is taken
_CELLS = 20_000_000  # users x items scored at once
_K = 10


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting tried, and the NDCG@10 it reached."""

    settings: dict[str, Any]
    ndcg: float


@dataclass(frozen=True, slots=True)
class _Asked:
    """Held-out interactions as arrays.

    Attributes:
        item_ids: (interactions,) item of each liked interaction of anybody.
        owners, members: (n,) user row and interaction row of each entry, each user's newest first.
        lengths: (users,)
        truth: items to foretell, places in the catalogue.
        seen: (rows, columns) items met before.
    """

    item_ids: np.ndarray
    owners: np.ndarray
    members: np.ndarray
    lengths: np.ndarray
    truth: Truth
    seen: tuple[np.ndarray, np.ndarray]


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
    asked = _asked(data, interactions, held_out, item_ids)
    counts = np.log1p([data.liked_counts.get(item, 0) for item in item_ids.tolist()])
    trials: list[Trial] = []
    best: tuple[float, dict[str, Any], np.ndarray] | None = None
    for half_life, steps in product(HALF_LIVES, STEPS):
        tried = config.model_copy(update={"half_life": half_life, "steps": steps, "heads": 1})
        scores = _head_scores(data, asked, tried)
        for weight in POPULARITY_WEIGHTS:
            settings = {"half_life": half_life, "steps": steps, "popularity_weight": weight}
            trials.append(Trial(settings, _ndcg(scores + weight * counts, asked)))
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
    asked: _Asked,
    config: EncodersConfig,
) -> Iterator[Trial]:
    weights = np.concatenate([recency_weights(n, config.half_life) for n in asked.lengths.tolist()])
    for name, prior_weights in PRIORS:
        prior = Prior.fit(interactions, config.model_copy(update={"prior": name}))
        met = pa.array(asked.item_ids[asked.members], pa.string())
        others = (prior.histories(asked.owners, met, weights, len(asked.lengths)) @ prior.onto(item_ids)).toarray()
        for prior_weight, weight in product(prior_weights, POPULARITY_WEIGHTS):
            settings = {"popularity_weight": weight, "prior": name, "prior_weight": prior_weight}
            yield Trial(settings, _ndcg(scores + weight * counts + prior_weight * others, asked))


@torch.inference_mode()
def _head_scores(data: TrainingData, asked: _Asked, config: EncodersConfig) -> np.ndarray:
    """(users, items) float32 scores of a freshly trained head, in units of the temperature."""
    with torch.inference_mode(False):
        head, catalogue, _ = fit_head(data, config)
    weights = np.concatenate([recency_weights(n, config.half_life) for n in asked.lengths.tolist()]).astype(np.float32)
    shape = (len(asked.lengths), len(data.interactions))
    profiles = csr_array((weights, (asked.owners, asked.members)), shape=shape) @ data.interaction_profiles
    similarities = head.users(torch.from_numpy(profiles)) @ head.personas(catalogue.embeddings).T
    scores = aggregate(similarities[:, catalogue.slots], catalogue.filled, config.temperature, config.aggregation)
    found: np.ndarray = (scores / config.temperature).numpy()
    return found


def _asked(data: TrainingData, interactions: Interactions, held_out: pa.Table, item_ids: np.ndarray) -> _Asked:
    known = held_out.filter(
        pc.and_(
            pc.is_in(held_out["user_id"], data.interactions["user_id"].combine_chunks()),
            pc.is_in(held_out["item_id"], pa.array(item_ids, pa.string())),
        )
    )
    if known.num_rows == 0:
        raise PipelineError("none of the held-out interactions is of a user with a history and an item with a persona")
    users = known["user_id"].to_numpy(zero_copy_only=False).astype(str)
    chosen = np.unique(users)
    most = max(1, _CELLS // len(item_ids))
    if len(chosen) > most:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, most, replace=False))
    kept = np.isin(users, chosen)
    items = known["item_id"].to_numpy(zero_copy_only=False).astype(str)[kept]
    order = np.argsort(users[kept], kind="stable")
    sizes = np.bincount(np.searchsorted(chosen, users[kept]), minlength=len(chosen))
    owner = pc.index_in(data.interactions["user_id"], pa.array(chosen, pa.string())).combine_chunks()
    members = np.flatnonzero(owner.is_valid().to_numpy(zero_copy_only=False))
    owners = owner.drop_null().to_numpy().astype(np.int64)
    row = pc.index_in(pa.array(interactions.user_ids, pa.string()), pa.array(chosen, pa.string()))
    met = pc.fill_null(row, -1).to_numpy()[interactions.users].astype(np.int64)
    mine = met >= 0
    column = pc.index_in(
        pa.array(interactions.item_ids[interactions.items[mine]], pa.string()), pa.array(item_ids, pa.string())
    )
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    return _Asked(
        data.interactions["item_id"].to_numpy(zero_copy_only=False).astype(str),
        owners,
        members,
        np.bincount(owners, minlength=len(chosen)),
        Truth(np.searchsorted(item_ids, items[order]), np.concatenate([[0], np.cumsum(sizes)])),
        (met[mine][valid], column.drop_null().to_numpy().astype(np.int64)),
    )


def _ndcg(scores: np.ndarray, asked: _Asked) -> float:
    lists = top_lists(scores, asked.seen, _K)
    return float(per_user(lists, asked.truth, (_K,))[f"ndcg@{_K}"].mean())
