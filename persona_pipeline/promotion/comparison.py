"""Two configurations of the encoder, refitted at the same cut-off and judged by what each user liked next."""

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.fitting import fit_head
from persona_pipeline.encoder.lessons import Catalogue
from persona_pipeline.encoder.prior import Prior
from persona_pipeline.encoder.retraining import TrainingData
from persona_pipeline.evaluate.gate import Verdict, judge
from persona_pipeline.evaluate.slices import make_slices
from persona_pipeline.foretelling import Asked, ask, head_scores, ndcg, popularity, popularity_scores, prior_scores
from persona_pipeline.promotion.held_out import HeldOut, hold_out
from persona_pipeline.terminal import counted

logger = logging.getLogger(__name__)

MOST_USERS = 20_000
_CELLS = 200_000_000  # users x items scored in all
_AT_ONCE = 20_000_000  # users x items x personas of the item with most


@dataclass(frozen=True, slots=True)
class Comparison:
    """What each side reached, and the verdict on the candidate.

    Attributes:
        users: how many were judged.
        served, candidate: mean NDCG@10.
    """

    users: int
    served: float
    candidate: float
    verdict: Verdict


def compare_settings(
    data: TrainingData, interactions: Interactions, served: EncodersConfig, candidate: EncodersConfig, margin: float
) -> Comparison:
    """Refit both without each user's newest liked interaction, have both foretell it, and judge the difference by user.

    Both sides see the same personas and item profiles, which are those of the night and were made from the held-out
    reviews too: a comparison of settings is fair by that, but its figures are higher than a backtest's. Personas that rest
    on the held-out review alone are hidden from its user. Of more than 20,000 users, or fewer where the catalogue has
    over 10,000 items, a sample is judged, seeded.

    Args:
        data, interactions: what the night trains from, `liked_interactions` of the same warehouse.
        margin: `encoders.gate_margin`.
    """
    parts = hold_out(data, interactions)
    if not parts.newest.num_rows or parts.data.pairs.num_rows < 2:
        # Lists nobody is asked about: the gate has its own answer to that.
        return Comparison(0, 0.0, 0.0, judge(np.empty(0), np.empty(0), {}, margin))
    item_ids = np.unique(data.personas["item_id"].to_numpy(zero_copy_only=False).astype(str))
    most = min(MOST_USERS, max(1, _CELLS // len(item_ids)))
    asked = ask(parts.data, parts.interactions, parts.newest, item_ids, most)
    reached = []
    for side, config in (("served", served), ("candidate", candidate)):
        reached.append(_foretold(parts, asked, item_ids, config))
        logger.info("%s settings refitted: NDCG@10 %.4f of %s", side, reached[-1].mean(), counted(asked.users, "user"))
    counts = np.array([parts.data.liked_counts.get(item, 0) for item in item_ids.tolist()])
    slices = {name: part.users for name, part in make_slices(asked.truth, asked.histories.lengths, counts).items()}
    verdict = judge(reached[0], reached[1], slices, margin)
    return Comparison(asked.users, float(reached[0].mean()), float(reached[1].mean()), verdict)


def _foretold(parts: HeldOut, asked: Asked, item_ids: np.ndarray, config: EncodersConfig) -> np.ndarray:
    """(users,) NDCG@10 of one configuration, refitted."""
    head, catalogue, _ = fit_head(parts.data, config)
    prior = Prior.fit(parts.interactions, config)
    counts = popularity(parts.data, item_ids)
    step = max(1, _AT_ONCE // catalogue.slots.numel())
    reached = []
    for start in range(0, asked.users, step):
        some = asked.part(start, start + step)
        hidden = _hidden(parts.newest, some, catalogue)
        scores = head_scores(head, catalogue, parts.data.interaction_profiles, some.histories, config, hidden)
        scores = scores + config.popularity_weight * popularity_scores(counts, some.histories, config)
        if config.prior_weight:
            scores = scores + config.prior_weight * prior_scores(prior, item_ids, some.histories, config)
        reached.append(ndcg(scores, some))
    return np.concatenate(reached)


def _hidden(newest: pa.Table, asked: Asked, catalogue: Catalogue) -> tuple[np.ndarray, np.ndarray]:
    """(m,) users and (m,) catalogue rows of the personas that rest on the user's held-out review alone."""
    masked = newest["masked_persona_ids"].combine_chunks()
    owners = newest["user_id"].combine_chunks().take(pc.list_parent_indices(masked))
    users = pc.index_in(owners, pa.array(asked.user_ids, pa.string()))
    rows = pc.index_in(masked.flatten(), pa.array(catalogue.persona_ids, pa.string()))
    known = pc.and_(pc.is_valid(users), pc.is_valid(rows))
    return users.filter(known).to_numpy().astype(np.int64), rows.filter(known).to_numpy().astype(np.int64)
