"""Tell which items a release may not recommend, to anyone or to one user, and why."""

from collections.abc import Callable, Collection, Sequence
from functools import cached_property, lru_cache
from typing import Any

import pyarrow.compute as pc

from persona_pipeline.serving.table_snapshot import TableSnapshot

BLOCKED = "blocked"
"""Reason of an item that the user blocks: itself, its creator, or one of its categories."""


class Eligibility:
    """Rules of one release: `items.available`, and `blocks` where it has that table. Thread-safe.

    Held in memory: the items that may not be recommended, with their reasons, and what the users asked about last block.
    """

    def __init__(self, table: Callable[[str], TableSnapshot], has: Callable[[str], bool], users_held: int) -> None:
        self._table, self._has = table, has
        self._blocks = lru_cache(maxsize=users_held)(self._read_blocks)

    @cached_property
    def _unavailable(self) -> dict[str, str]:
        columns = ["item_id", "available", "unavailable_reason"]
        rows = self._table("items").read(columns)
        away = rows.filter(pc.invert(rows["available"]))
        return dict(zip(away["item_id"].to_pylist(), away["unavailable_reason"].to_pylist(), strict=True))

    def reasons(self, user_id: str, item_ids: Sequence[str]) -> list[str | None]:
        """Implement `Recommendations.ineligible`."""
        blocked = self.blocked(user_id, item_ids)
        return [self._unavailable.get(item) or (BLOCKED if item in blocked else None) for item in item_ids]

    def blocked(self, user_id: str, item_ids: Collection[str]) -> set[str]:
        """Select the items that the user blocks."""
        blocks = self._blocks(user_id)
        if not blocks:
            return set()
        found = {item for item in item_ids if ("item", item) in blocks}
        if {kind for kind, _ in blocks} == {"item"}:
            return found
        rows = self._table("items").rows("item_id", set(item_ids), ["item_id", "creator", "categories"]).to_pylist()
        return found | {row["item_id"] for row in rows if blocks & _groups(row)}

    def _read_blocks(self, user_id: str) -> frozenset[tuple[str, str]]:
        if not self._has("blocks"):
            return frozenset()
        rows = self._table("blocks").rows("user_id", [user_id], ["kind", "value"])
        return frozenset((row["kind"], row["value"]) for row in rows.to_pylist())


def _groups(item: dict[str, Any]) -> set[tuple[str, str]]:
    return {("creator", item["creator"]), *(("category", category) for category in item["categories"])}
