"""Group items by creator and by category (`ItemGroups`): what a user may block, and what a list holds at most a few of.

A group's name is its kind and the value, parted by `SEPARATOR`. An item is in the groups of its creator and of all its
categories; for the cap it is in one category, that at the level the configuration says.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from persona_pipeline.config import UserItemTopkConfig

SEPARATOR = "\x1f"
CREATOR, CATEGORY, _CAPPED = "creator", "category", "capped category"
COLUMNS = ("item_id", "creator", "categories")
"""Columns of `items` that groups are made of."""


@dataclass(frozen=True, slots=True)
class ItemGroups:
    """Groups of the items of an item index.

    Attributes:
        names: (groups,) texts.
        members: (items, groups) bool, sparse.
        capped: (items, caps) int64, for each cap the group of an item, -1 for an item without: it counts towards no cap.
        most: (caps,) int64, how many items of one group a list may hold.
    """

    names: pa.StringArray
    members: csr_array
    capped: np.ndarray
    most: np.ndarray

    @classmethod
    def of(
        cls, item_ids: np.ndarray, items: pa.Table, config: UserItemTopkConfig, blocked: Collection[str]
    ) -> "ItemGroups":
        """Build the groups of `item_ids` (n,) that caps or blocks ask about.

        Args:
            item_ids: of the item index.
            items: rows of `items` with `COLUMNS`, in any order; an item without a row is in no group.
            config: with the caps.
            blocked: kinds that somebody blocks, `creator` and `category`.
        """
        row = pc.index_in(pa.array(item_ids, pa.string()), items["item_id"].combine_chunks())
        creators = items["creator"].combine_chunks().take(row)
        categories = items["categories"].combine_chunks().take(row)
        kinds = {}
        if CREATOR in blocked or config.max_per_creator:
            kinds[CREATOR] = _valued(creators, np.arange(len(item_ids)))
        if CATEGORY in blocked:
            kinds[CATEGORY] = _valued(categories.flatten(), pc.list_parent_indices(categories).to_numpy())
        if config.max_per_category:
            kinds[_CAPPED] = _valued(category_at(categories, config.category_level), np.arange(len(item_ids)))
        texts = [pc.binary_join_element_wise(kind, values, SEPARATOR) for kind, (values, _) in kinds.items()]
        coded = pa.chunked_array(texts, pa.string()).combine_chunks().dictionary_encode()
        coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
        # In the order of their names, whatever that of the rows: `grouping` compares nights.
        by_name = pc.sort_indices(coded.dictionary)
        names = coded.dictionary.take(by_name)
        codes = np.argsort(by_name.to_numpy())[coded.indices.to_numpy(zero_copy_only=False)]
        rows = np.concatenate([np.empty(0, np.int64), *(rows for _, rows in kinds.values())])
        members = csr_array((np.ones(len(rows), bool), (rows, codes)), shape=(len(item_ids), len(names)))
        most, capped, start = [], [], 0
        for kind, (_, of_kind) in kinds.items():
            cap = {CREATOR: config.max_per_creator, _CAPPED: config.max_per_category}.get(kind, 0)
            if cap:
                of_item = np.full(len(item_ids), -1)
                of_item[of_kind] = codes[start : start + len(of_kind)]
                capped.append(of_item)
                most.append(cap)
            start += len(of_kind)
        table = np.array(capped, np.int64).reshape(len(most), len(item_ids)).T
        return cls(names, members, np.ascontiguousarray(table), np.array(most, np.int64))

    def part(self, start: int, stop: int) -> "ItemGroups":
        """Restrict the groups to items `start` to `stop`."""
        return replace(self, members=csr_array(self.members[start:stop]), capped=self.capped[start:stop])

    def without_caps(self) -> "ItemGroups":
        """Keep the groups alone: no list is held to any number of a group."""
        return replace(self, capped=self.capped[:, :0], most=self.most[:0])

    def closed(self, blocked: pa.ListArray) -> list[np.ndarray]:
        """Look up the groups that each user blocks, given by name; null is none, and so is a group without items."""
        codes = pc.fill_null(pc.index_in(blocked.flatten(), self.names), -1).to_numpy(zero_copy_only=False)
        ends = np.cumsum(pc.fill_null(pc.list_value_length(blocked), 0).to_numpy(zero_copy_only=False))[:-1]
        return [part[part >= 0].astype(np.int64) for part in np.split(codes, ends)]


def grouping(items: pa.Table, config: UserItemTopkConfig, blocked: Collection[str]) -> pa.Table:
    """Say in words what groups each item is in, as item_id and `groups`: equal texts are the same groups."""
    ids = items["item_id"].to_numpy(zero_copy_only=False).astype(str)
    found = ItemGroups.of(ids, items, config, blocked)
    members = found.members.sorted_indices()
    names = found.names.take(pa.array(members.indices))
    lists = pa.ListArray.from_arrays(pa.array(members.indptr, pa.int32()), names)
    return pa.table({"item_id": pa.array(ids, pa.string()), "groups": pc.binary_join(lists, "\n")})


def category_at(categories: pa.ListArray, level: int) -> pa.StringArray:
    """Choose of each item's categories, broadest first, the one at a level from 1, or the last where it has fewer; 0 is the last.

    Null for an item without categories.
    """
    lengths = pc.fill_null(pc.list_value_length(categories), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    place = np.cumsum(lengths) - lengths + (np.minimum(level, lengths) if level else lengths) - 1
    return categories.flatten().take(pa.array(place, mask=lengths == 0))


def _valued(values: pa.Array, rows: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """Keep the values that are texts, with the rows that they belong to."""
    there = pc.fill_null(pc.not_equal(values, ""), False)
    return values.filter(there), rows[there.to_numpy(zero_copy_only=False)]
