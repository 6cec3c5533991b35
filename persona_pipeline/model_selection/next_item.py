"""Score the catalogue for users of a temporal hold-out by head, popularity and prior, all users at once, and compute NDCG@10.

Used by the hyperparameter search (`search`), the comparison of configurations (`challenger`) and variants (`backtest`).
All scores are in units of the temperature, like the weights of popularity and prior.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from scipy.sparse import csr_array

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.arrays import offsets_of
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.head import Head, aggregate
from persona_pipeline.encoder.history_weights import history_weights, popularity_scales, ranks
from persona_pipeline.encoder.training_data import TrainingData
from persona_pipeline.encoder.training_examples import ItemSlots
from persona_pipeline.evaluate.metrics import CUTOFF, RelevantItems


@dataclass(frozen=True, slots=True)
class LikedHistories:
    """Histories of some users, as arrays.

    Attributes:
        item_ids, days, strengths: (interactions,) item, day and weight of every liked interaction, of all users.
        owners, members: (n,) user row and interaction row of each history entry, each user's newest first.
        lengths: (users,) entries of each user.
    """

    item_ids: np.ndarray
    days: np.ndarray
    strengths: np.ndarray
    owners: np.ndarray
    members: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, interactions: pa.Table, user_ids: np.ndarray) -> "LikedHistories":
        """Build the histories of users (users,) from user_id, item_id, weight and day of all liked interactions.

        Those of a user are newest first.
        """
        owner = pc.index_in(interactions["user_id"], pa.array(user_ids, pa.string())).combine_chunks()
        owners = owner.drop_null().to_numpy().astype(np.int64)
        order = np.argsort(owners, kind="stable")
        members = np.flatnonzero(owner.is_valid().to_numpy(zero_copy_only=False))[order]
        item_ids = interactions["item_id"].to_numpy(zero_copy_only=False).astype(str)
        days, strengths = (interactions[name].to_numpy(zero_copy_only=False) for name in ("day", "weight"))
        return cls(item_ids, days, strengths, owners[order], members, np.bincount(owners, minlength=len(user_ids)))

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.lengths)

    def recency(self, config: EncodersConfig) -> np.ndarray:
        """Weights (n,) of the history entries, summing to one per user."""
        distances = ranks(self.lengths)
        if config.recency == "days":
            days = self.days[self.members]
            distances = days[np.arange(len(days)) - distances] - days
        return history_weights(distances, self.lengths, config.half_life, self.strengths[self.members])

    def part(self, start: int, stop: int) -> "LikedHistories":
        """Restrict to the users from `start` to `stop`, exclusive."""
        mine = (self.owners >= start) & (self.owners < stop)
        return replace(
            self, owners=self.owners[mine] - start, members=self.members[mine], lengths=self.lengths[start:stop]
        )

    def newest(self, count: int) -> "LikedHistories":
        """Restrict to the `count` newest entries of each user."""
        kept = ranks(self.lengths) < count
        return replace(self, owners=self.owners[kept], members=self.members[kept], lengths=self.lengths.clip(max=count))


@dataclass(frozen=True, slots=True)
class HeldOutInteractions:
    """Held-out interactions, with the histories of their users.

    Attributes:
        user_ids: (users,) sorted.
        histories: of these users.
        truth: items to predict, as catalogue indices.
        seen: (rows, columns) items already in the user's interactions.
    """

    user_ids: np.ndarray
    histories: LikedHistories
    truth: RelevantItems
    seen: tuple[np.ndarray, np.ndarray]

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.user_ids)

    def part(self, start: int, stop: int) -> "HeldOutInteractions":
        """Restrict to the users from `start` to `stop`, exclusive."""
        users = np.arange(self.users)
        rows, columns = self.seen
        met = (rows >= start) & (rows < stop)
        return HeldOutInteractions(
            self.user_ids[start:stop],
            self.histories.part(start, stop),
            self.truth.of((users >= start) & (users < stop)),
            (rows[met] - start, columns[met]),
        )


def held_out_interactions(
    data: TrainingData, interactions: Interactions, held_out: pa.Table, item_ids: np.ndarray, most_users: int
) -> HeldOutInteractions:
    """Select held-out interactions of users with a history and items with a persona, of at most `most_users` users, seeded.

    Args:
        data, interactions: without the held-out interactions.
        held_out: user_id, item_id.
        item_ids: (items,) sorted: the catalogue.

    Raises:
        PipelineError: no user is left.
    """
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
    if len(chosen) > most_users:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, most_users, replace=False))
    kept = np.isin(users, chosen)
    items = known["item_id"].to_numpy(zero_copy_only=False).astype(str)[kept]
    order = np.argsort(users[kept], kind="stable")
    sizes = np.bincount(np.searchsorted(chosen, users[kept]), minlength=len(chosen))
    row = pc.index_in(pa.array(interactions.user_ids, pa.string()), pa.array(chosen, pa.string()))
    met = pc.fill_null(row, -1).to_numpy()[interactions.users].astype(np.int64)
    mine = met >= 0
    column = pc.index_in(
        pa.array(interactions.item_ids[interactions.items[mine]], pa.string()), pa.array(item_ids, pa.string())
    )
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    return HeldOutInteractions(
        chosen,
        LikedHistories.of(data.interactions, chosen),
        RelevantItems(np.searchsorted(item_ids, items[order]), offsets_of(sizes)),
        (met[mine][valid], column.drop_null().to_numpy().astype(np.int64)),
    )


@torch.inference_mode()
def encoded(head: Head, catalogue: ItemSlots) -> torch.Tensor:
    """Encode the catalogue's personas, (personas, d); the vectors are the same for all users."""
    return head.personas(catalogue.embeddings.to(head.interaction_map.dtype))


@torch.inference_mode()
def head_scores(
    head: Head,
    catalogue: ItemSlots,
    profiles: np.ndarray,
    histories: LikedHistories,
    config: EncodersConfig,
    hidden: tuple[np.ndarray, np.ndarray] | None = None,
    personas: torch.Tensor | None = None,
) -> np.ndarray:
    """Score items by their personas, (users, items) in the head's precision. Memory: users x items x slots, a few times.

    Args:
        personas: result of `encoded`; computed here if None.
        profiles: (interactions, d) item embeddings of all liked interactions.
        hidden: (m,) users and (m,) catalogue rows of personas hidden from them; each item keeps at least one persona.
    """
    kind = head.interaction_map.dtype
    weights = csr_array(
        (histories.recency(config).astype(profiles.dtype), (histories.owners, histories.members)),
        shape=(histories.users, len(profiles)),
    )
    if personas is None:
        personas = encoded(head, catalogue)
    similarities = head.users(torch.from_numpy(weights @ profiles).to(kind)) @ personas.T
    scores = aggregate(similarities[:, catalogue.slots], catalogue.filled, head.temperature, config.aggregation)
    if hidden is not None and len(hidden[0]):
        keys = torch.from_numpy(hidden[0] * similarities.shape[1] + hidden[1])
        pairs = np.unique(np.stack([hidden[0], catalogue.items_of(hidden[1])]), axis=1)
        slots, rows = catalogue.slots[pairs[1]], torch.from_numpy(pairs[0])[:, None]
        visible = catalogue.filled[pairs[1]] & ~torch.isin(rows * similarities.shape[1] + slots, keys)
        fewer = aggregate(similarities[rows, slots], visible, head.temperature, config.aggregation)
        scores[pairs[0], pairs[1]] = fewer
    found: np.ndarray = (scores / head.temperature).numpy()
    return found


def hidden_personas(
    masked: tuple[np.ndarray, np.ndarray], asked: HeldOutInteractions, catalogue: ItemSlots
) -> tuple[np.ndarray, np.ndarray]:
    """Map (n,) user ids and (n,) ids of personas hidden from them to (m,) rows of `asked` and (m,) rows of the catalogue."""
    users = pc.index_in(pa.array(masked[0], pa.string()), pa.array(asked.user_ids, pa.string()))
    rows = pc.index_in(pa.array(masked[1], pa.string()), pa.array(catalogue.persona_ids, pa.string()))
    known = pc.and_(pc.is_valid(users), pc.is_valid(rows))
    return users.filter(known).to_numpy().astype(np.int64), rows.filter(known).to_numpy().astype(np.int64)


def prior_scores(prior: Prior, item_ids: np.ndarray, histories: LikedHistories, config: EncodersConfig) -> np.ndarray:
    """Score items by the collaborative prior at weight one, (users, items)."""
    met = pa.array(histories.item_ids[histories.members], pa.string())
    weights = prior.histories(histories.owners, met, histories.recency(config), histories.users)
    scores: np.ndarray = (weights @ prior.onto(item_ids)).toarray()
    return scores


def popularity(data: TrainingData, item_ids: np.ndarray) -> np.ndarray:
    """log(1 + liked interactions) of every item, (items,)."""
    found: np.ndarray = np.log1p([data.liked_counts.get(item, 0) for item in item_ids.tolist()])
    return found


def popularity_scores(counts: np.ndarray, histories: LikedHistories, config: EncodersConfig) -> np.ndarray:
    """Score items by popularity at weight one, (users, items), from `popularity` (items,)."""
    scores: np.ndarray = popularity_scales(histories.lengths, config.popularity_support)[:, None] * counts
    return scores


def ndcg(scores: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """NDCG@10 (users,) of the lists ranked by scores (users, items), for one target item per user, `answers` (users,).

    Items excluded from a list have score -inf; ties go to the lower catalogue index. Nothing is sorted.
    """
    own = scores[np.arange(len(answers)), answers][:, None]
    before = np.arange(scores.shape[1]) < answers[:, None]
    ahead = np.count_nonzero(np.where(before, scores >= own, scores > own), axis=1)
    found: np.ndarray = np.where(np.isfinite(own[:, 0]) & (ahead < CUTOFF), 1 / np.log2(ahead + 2), 0.0)
    return found
