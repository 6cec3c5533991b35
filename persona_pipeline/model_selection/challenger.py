"""Compare two encoder configurations: refit both without each user's newest liked interaction, and test NDCG@10 by user."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.terminal import counted
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.finetune.examples import place_of
from persona_pipeline.encoder.fit import fit_head
from persona_pipeline.encoder.training_data import TrainingData
from persona_pipeline.evaluate.slices import make_slices
from persona_pipeline.model_selection.gate import GateVerdict, gate_verdict
from persona_pipeline.model_selection.holdout import HeldOut, hold_out
from persona_pipeline.model_selection.next_item import HeldOutInteractions, held_out_interactions
from persona_pipeline.model_selection.score_fusion import mixture_of, reached

logger = logging.getLogger(__name__)

MOST_USERS = 20_000
_CELLS = 200_000_000  # users x items scored in all


@dataclass(frozen=True, slots=True)
class EncoderComparison:
    """NDCG@10 of the served and of the candidate configuration, and the gate's verdict on the candidate.

    Attributes:
        users: number of evaluation users.
        served, candidate: mean NDCG@10.
    """

    users: int
    served: float
    candidate: float
    verdict: GateVerdict


def compare_settings(
    data: TrainingData,
    interactions: Interactions,
    served: EncodersConfig,
    candidate: EncodersConfig,
    margin: float,
    tuned: Callable[[], TrainingData] | None = None,
    unseen: float = 1.0,
) -> EncoderComparison:
    """Refit both configurations without each user's newest liked interaction, predict it, and test the paired difference by user.

    Both sides see the same personas, which are those of the run and were made from the held-out reviews too: a
    comparison of settings is fair by that, but its figures are higher than a backtest's. Personas that rest on the
    held-out review alone are hidden from its user, and item embeddings leave that review out where `data` is `blind`.
    Of more than 20,000 users, or fewer where the catalogue has over 10,000 items, a seeded sample is evaluated.

    Args:
        data, interactions: the run's training data, and `liked_interactions` of the same warehouse.
        margin: `encoders.gate_margin`.
        tuned: the candidate's data where it has another base, which is fine-tuned only if there are evaluation users.
        unseen: share of users to evaluate: those a fine-tune with this `validation_share` has not trained on.
    """
    parts = hold_out(data, interactions)
    newest = parts.newest.filter(pa.array(place_of(parts.newest["user_id"].to_pylist()) < unseen))
    if not newest.num_rows or parts.data.pairs.num_rows < 2:
        # No evaluation users: the gate returns its verdict for none.
        return EncoderComparison(0, 0.0, 0.0, gate_verdict(np.empty(0), np.empty(0), {}, margin))
    item_ids = np.unique(data.personas["item_id"].to_numpy(zero_copy_only=False).astype(str))
    most = min(MOST_USERS, max(1, _CELLS // len(item_ids)))
    asked = held_out_interactions(parts.data, parts.interactions, newest, item_ids, most)
    theirs = hold_out(tuned(), interactions) if tuned else parts
    values = []
    for side, config, held_out in (("served", served, parts), ("candidate", candidate, theirs)):
        values.append(_predicted(held_out, asked, config))
        logger.info("%s settings refitted: NDCG@10 %.4f of %s", side, values[-1].mean(), counted(asked.users, "user"))
    counts = np.array([parts.data.liked_counts.get(item, 0) for item in item_ids.tolist()])
    slices = {name: part.users for name, part in make_slices(asked.truth, asked.histories.lengths, counts).items()}
    verdict = gate_verdict(values[0], values[1], slices, margin)
    return EncoderComparison(asked.users, float(values[0].mean()), float(values[1].mean()), verdict)


def _predicted(parts: HeldOut, asked: HeldOutInteractions, config: EncodersConfig) -> np.ndarray:
    """NDCG@10 (users,) of one configuration, refitted."""
    data = parts.data.weighed(config)
    head, catalogue, _ = fit_head(data, config)

    def prior_of(_: str) -> Prior:
        return Prior.fit(parts.interactions, config)

    own = [mixture_of(config)]
    values: np.ndarray = reached(head, catalogue, data, asked, parts.masked(), config, own, prior_of).values[0]
    return values
