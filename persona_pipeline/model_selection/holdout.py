"""Hold out each user's newest liked interaction from the training data, for refitting and comparing configurations."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.encoder.history_weights import shortened
from persona_pipeline.encoder.training_data import TrainingData


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A run's training data, split into hold-out and rest.

    Attributes:
        newest: user_id, item_id, interaction_id, weight, masked_persona_ids of the held-out interactions, one row per user.
        data, interactions: the rest.
    """

    newest: pa.Table
    data: TrainingData
    interactions: Interactions

    def masked(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (m,) users and (m,) personas that rest on the user's held-out review alone; none rests on an event."""
        lists = self.newest["masked_persona_ids"].combine_chunks()
        owners = self.newest["user_id"].combine_chunks().take(pc.list_parent_indices(lists))
        users, personas = (ids.to_numpy(zero_copy_only=False).astype(str) for ids in (owners, lists.flatten()))
        return users, personas


def hold_out(data: TrainingData, interactions: Interactions) -> HeldOut:
    """Hold out the newest liked interaction of every user for whom it is a training pair.

    A user with one liked interaction has no pair, and an item whose every persona rests on this user's review makes
    none: those users keep all interactions and are not evaluated. A held-out interaction is no target, no part of a
    history, and counted neither in popularity nor in the prior. Personas and item embeddings stay unchanged; `blind`
    data has item embeddings without the held-out reviews.
    """
    first = pc.equal(data.pairs["history_place"], 0)
    newest = data.pairs.filter(first).select(["user_id", "item_id", "interaction_id", "weight", "masked_persona_ids"])
    held_out = newest["interaction_id"].combine_chunks()
    known = pc.invert(pc.is_in(data.interactions["interaction_id"], held_out))
    rest = replace(
        data,
        pairs=_without(data.pairs.filter(pc.invert(first)), held_out),
        interactions=data.interactions.filter(known),
        interaction_profiles=data.interaction_profiles[known.to_numpy(zero_copy_only=False)],
        liked_counts=_fewer(data.liked_counts, newest),
    )
    return HeldOut(newest, rest, interactions.without(_among(interactions, newest)))


def _without(pairs: pa.Table, held_out: pa.Array) -> pa.Table:
    """Remove interactions from the histories of pairs."""
    members = pairs["history_interaction_ids"].combine_chunks().flatten()
    return shortened(pairs, pc.invert(pc.is_in(members, held_out)).to_numpy(zero_copy_only=False))


def _fewer(counts: Mapping[str, float], newest: pa.Table) -> dict[str, float]:
    """Take the held-out interactions out of the liked interactions by item."""
    summed = newest.group_by("item_id", use_threads=False).aggregate([("weight", "sum")])
    gone = dict(zip(summed["item_id"].to_pylist(), summed["weight_sum"].to_pylist(), strict=True))
    # No less than none: sums of fractions may end a hair below.
    return {item: max(count - gone.get(item, 0.0), 0.0) for item, count in counts.items()}


def _among(interactions: Interactions, newest: pa.Table) -> np.ndarray:
    """Mark (n,) bool the interactions that are held out, by user and item."""
    users = pc.index_in(newest["user_id"], pa.array(interactions.user_ids, pa.string()))
    items = pc.index_in(newest["item_id"], pa.array(interactions.item_ids, pa.string()))
    width = len(interactions.item_ids)
    gone = users.to_numpy(zero_copy_only=False) * width + items.to_numpy(zero_copy_only=False)
    among: np.ndarray = np.isin(interactions.users * width + interactions.items, gone)
    return among
