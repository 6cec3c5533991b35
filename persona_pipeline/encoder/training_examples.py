"""Build the head's training tensors from `training_pairs` and cached embeddings."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from scipy.sparse import csr_array
from torch import Tensor

from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.arrays import offsets_of, padded_slots
from persona_pipeline.encoder.history_weights import examples_of, seconds_of, weighted_histories


@dataclass(frozen=True, slots=True)
class ItemSlots:
    """Personas by item, padded to the largest number of personas per item.

    Attributes:
        item_ids: (items,)
        embeddings: (personas, d) base embeddings, rows in the order of `persona_ids`.
        slots: (items, slots) row of each persona, 0 for padding.
        filled: (items, slots) whether the slot holds a persona.
    """

    item_ids: np.ndarray
    persona_ids: np.ndarray
    embeddings: Tensor
    slots: Tensor
    filled: Tensor

    @classmethod
    def build(cls, persona_ids: np.ndarray, items: np.ndarray, embeddings: np.ndarray) -> "ItemSlots":
        """Build from one row per persona, in any order: ids (p,), items (p,), embeddings (p, d)."""
        order = np.lexsort((persona_ids, items))
        item_ids, counts = np.unique(items[order], return_counts=True)
        slots, filled = padded_slots(counts)
        return cls(
            item_ids,
            persona_ids[order],
            torch.from_numpy(embeddings[order]),
            torch.from_numpy(slots),
            torch.from_numpy(filled),
        )

    def items_of(self, rows: np.ndarray) -> np.ndarray:
        """Index in `item_ids` of each persona row (n,): an item's personas are contiguous."""
        return np.searchsorted(self.slots[:, 0].numpy(), rows, side="right") - 1


@dataclass(frozen=True, slots=True)
class TrainingExamples:
    """Training examples of the head, one row per training pair.

    Attributes:
        profiles: (n, d) weighted mean of the embeddings of the user's other items, or of those before the target; items next to
            the target weigh most.
        targets: (n,) row of the liked item in the catalogue.
        labels: (n,) row of the labelled persona in the catalogue.
        visible: (n, slots) personas of the target that are not masked for the pair.
        users: (n,) user as a number, to mask a user's other positives.
        weights: (n,) sampling weight of the pair: old and weak ones less.
    """

    profiles: Tensor
    targets: Tensor
    labels: Tensor
    visible: Tensor
    users: Tensor
    weights: Tensor

    @classmethod
    def build(
        cls,
        pairs: pa.Table,
        catalogue: ItemSlots,
        interactions: pa.Table,
        vectors: np.ndarray,
        config: EncodersConfig,
    ) -> "TrainingExamples":
        """Build from rows of `training_pairs`.

        `interactions` (r,) are interaction_id, weight and day of all history entries, `vectors` (r, d) their items'
        embeddings.
        """
        pairs = examples_of(pairs, config)
        lengths, members, weights = weighted_histories(pairs, interactions, config)
        # One sparse product instead of gathering every history's vectors: memory is the pairs', not their histories'.
        ends = offsets_of(lengths)
        profiles = (
            csr_array((weights.astype(np.float32), members, ends), shape=(len(pairs), len(interactions))) @ vectors
        )
        targets = np.searchsorted(catalogue.item_ids, pairs["item_id"].to_numpy(zero_copy_only=False).astype(str))
        masked = pairs["masked_persona_ids"].combine_chunks()
        rows = pc.index_in(masked.flatten(), pa.array(catalogue.persona_ids)).to_numpy(zero_copy_only=False)
        pair_of = np.repeat(np.arange(len(pairs)), pc.list_value_length(masked).to_numpy(zero_copy_only=False))
        visible = catalogue.filled[targets].clone()
        partly, place = np.unique(pair_of, return_inverse=True)  # rare: personas that rest on one reviewer alone
        slots = catalogue.slots.numpy()[targets[partly]]
        keys = place * len(catalogue.persona_ids) + rows.astype(np.int64)
        cells = np.arange(len(partly))[:, None] * len(catalogue.persona_ids) + slots
        visible[partly] &= torch.from_numpy(~np.isin(cells, keys))
        return cls(
            torch.from_numpy(profiles),
            torch.from_numpy(targets),
            torch.from_numpy(
                pc.index_in(pairs["persona_id"], pa.array(catalogue.persona_ids)).to_numpy().astype(np.int64)
            ),
            visible,
            torch.from_numpy(
                np.unique(pairs["user_id"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)[1]
            ),
            torch.from_numpy(_sampling_weights(pairs, config.age_half_life_days)),
        )

    def __len__(self) -> int:
        return len(self.targets)


def _sampling_weights(pairs: pa.Table, half_life_days: float) -> np.ndarray:
    """Compute the sampling weights of pairs, (n,) float32: weight x 0.5 ** (days before the newest pair / half-life)."""
    weights: np.ndarray = pairs["weight"].to_numpy(zero_copy_only=False)
    if half_life_days:
        moments = seconds_of(pairs)
        weights = weights * 0.5 ** ((moments.max() - moments) / 86_400 / half_life_days)
    return weights.astype(np.float32)
