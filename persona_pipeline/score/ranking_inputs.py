"""Hold what every ranking task needs, broadcast once: encoder, item index, personas, prior."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from persona_pipeline.config import UserItemTopkConfig
from persona_pipeline.embeddings.vectors import vectors_of
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.score.item_groups import ItemGroups
from persona_pipeline.score.item_index import ItemIndex

if TYPE_CHECKING:  # torch takes seconds
    from persona_pipeline.score.topk._products import Precision

_FUSION = 60  # of reciprocal rank fusion: how little first places stand out


@dataclass(frozen=True, slots=True)
class RankingInputs:
    """Inputs shared by all tasks of a ranking job, broadcast once.

    `prior` (prior items, items) is `Encoder.prior_onto` the item index; `candidates_weight` is the weight of another
    recommender's lists; `groups` are those that caps and blocks ask about, None where nobody asks.
    """

    item_index: ItemIndex
    persona_ids: np.ndarray
    encoder: Encoder
    prior: csr_array
    k: int
    block_bytes: int
    shelf_bytes: int = UserItemTopkConfig().shelf_bytes
    candidates_weight: float = 0.0
    device: str = "cpu"
    precision: "Precision | None" = None
    groups: ItemGroups | None = None

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        personas: pa.Table,
        k: int,
        block_bytes: int,
        shelf_bytes: int = UserItemTopkConfig().shelf_bytes,
        candidates_weight: float = 0.0,
        device: str = "cpu",
        precision: "Precision | None" = None,
    ) -> "RankingInputs":
        """Build the inputs from rows of `persona_vectors` of this encoder, in any order."""
        rows = personas.select(["item_id", "persona_id", "vector"]).sort_by(
            [("item_id", "ascending"), ("persona_id", "ascending")]
        )
        items, persona_ids = (rows[c].to_numpy(zero_copy_only=False).astype(str) for c in ("item_id", "persona_id"))
        names = np.unique(items).tolist()
        popularity = dict(zip(names, encoder.popularity_shares(names).tolist(), strict=True))
        fusion = encoder.config
        item_index = ItemIndex.build(
            items, vectors_of(rows["vector"]), popularity, fusion.temperature, fusion.aggregation
        )
        prior = encoder.prior_onto(item_index.item_ids)
        return cls(
            item_index, persona_ids, encoder, prior, k, block_bytes, shelf_bytes, candidates_weight, device, precision
        )

    def grouped(self, items: pa.Table, config: UserItemTopkConfig, blocked: Collection[str]) -> "RankingInputs":
        """Add the groups of the items: see `ItemGroups.of`."""
        return replace(self, groups=ItemGroups.of(self.item_index.item_ids, items, config, blocked))

    @property
    def capped(self) -> bool:
        """Whether a list holds at most some items of a group."""
        return self.groups is not None and len(self.groups.most) > 0

    def lifts(self, lists: pa.ListArray) -> csr_array:
        """Return (users, items) score shares of another recommender's lists, given as structs of item_id and rank; null is no list.

        The first rank adds the weight, any other rank 61 / (60 + rank) of it: reciprocal rank fusion (Cormack, Clarke
        and Buettcher, SIGIR 2009), which needs no common scale of scores.
        """
        told = lists.flatten()
        places = pc.index_in(told.field("item_id"), pa.array(self.item_index.item_ids, pa.string()))
        known = places.is_valid().to_numpy(zero_copy_only=False)
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        owners = np.repeat(np.arange(len(lists)), lengths)[known]
        shares = (
            self.candidates_weight
            * (_FUSION + 1)
            / (_FUSION + told.field("rank").to_numpy(zero_copy_only=False)[known])
        )
        at = places.drop_null().to_numpy(zero_copy_only=False)
        return csr_array((shares, (owners, at)), shape=(len(lists), len(self.item_index.item_ids)))

    def blocks(self) -> Iterator["RankingInputs"]:
        """Yield the same inputs for consecutive blocks of items, each of at most `shelf_bytes` of persona vectors."""
        for start, stop in self.item_index.spans(self.shelf_bytes):
            first = int(self.item_index.slots[start, 0])
            item_index = self.item_index.part(start, stop)
            ids = self.persona_ids[first : first + len(item_index.vectors)]
            prior, groups = csr_array(self.prior[:, start:stop]), self.groups and self.groups.part(start, stop)
            yield replace(self, item_index=item_index, persona_ids=ids, prior=prior, groups=groups)
