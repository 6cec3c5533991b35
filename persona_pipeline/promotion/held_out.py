"""Training data less each user's newest liked interaction: the cut-off at which two configurations are both refitted."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.encoder.retraining import TrainingData


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a night knows, in two parts.

    Attributes:
        newest: user_id, item_id, review_id, masked_persona_ids of what is held out, one row a user.
        data, interactions: the rest.
    """

    newest: pa.Table
    data: TrainingData
    interactions: Interactions


def hold_out(data: TrainingData, interactions: Interactions) -> HeldOut:
    """Take out the newest liked interaction of every user for whom it is a training pair.

    A user with one liked interaction has no pair, and neither has an item whose every persona rests on this user: those
    users keep all they have and are not asked about. What is held out is no target, no part of a history, and counted
    neither in popularity nor in what the prior is fitted on. Personas and profiles of items stay as they are.
    """
    first = pc.equal(data.pairs["history_place"], 0)
    newest = data.pairs.filter(first).select(["user_id", "item_id", "review_id", "masked_persona_ids"])
    reviews = newest["review_id"].combine_chunks()
    known = pc.invert(pc.is_in(data.interactions["review_id"], reviews))
    rest = replace(
        data,
        pairs=_shortened(data.pairs.filter(pc.invert(first)), reviews),
        interactions=data.interactions.filter(known),
        interaction_profiles=data.interaction_profiles[known.to_numpy(zero_copy_only=False)],
        liked_counts=_fewer(data.liked_counts, newest["item_id"]),
    )
    return HeldOut(newest, rest, interactions.without(_among(interactions, newest)))


def _shortened(pairs: pa.Table, reviews: pa.Array) -> pa.Table:
    """Pairs without these reviews in their histories; one that has no history left is no pair."""
    histories = pairs["history_review_ids"].combine_chunks()
    owners = pc.list_parent_indices(histories).to_numpy(zero_copy_only=False)
    members = histories.flatten()
    kept = pc.invert(pc.is_in(members, reviews)).to_numpy(zero_copy_only=False)
    # Newest first, and the newest of all is what goes: each place moves up by as many as are gone.
    gone = np.bincount(owners[~kept], minlength=len(pairs))
    lengths = np.bincount(owners[kept], minlength=len(pairs))
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    columns = {
        "history_review_ids": pa.ListArray.from_arrays(offsets, members.filter(pa.array(kept))),
        "history_place": pa.array(
            (pairs["history_place"].to_numpy(zero_copy_only=False) - gone).astype(np.int32), pa.int32()
        ),
    }
    for name, values in columns.items():
        pairs = pairs.set_column(pairs.schema.get_field_index(name), name, values)
    return pairs.filter(pa.array(lengths > 0))


def _fewer(counts: dict[str, int], items: pa.ChunkedArray) -> dict[str, int]:
    gone = {row["values"]: row["counts"] for row in pc.value_counts(items.combine_chunks()).to_pylist()}
    return {item: count - gone.get(item, 0) for item, count in counts.items()}


def _among(interactions: Interactions, newest: pa.Table) -> np.ndarray:
    """(n,) bool: which interactions are held out, by user and item."""
    users = pc.index_in(newest["user_id"], pa.array(interactions.user_ids, pa.string()))
    items = pc.index_in(newest["item_id"], pa.array(interactions.item_ids, pa.string()))
    width = len(interactions.item_ids)
    gone = users.to_numpy(zero_copy_only=False) * width + items.to_numpy(zero_copy_only=False)
    among: np.ndarray = np.isin(interactions.users * width + interactions.items, gone)
    return among
