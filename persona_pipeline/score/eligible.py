"""Load the items that may be recommended, `items.available`, with their personas and what lists and users ask of them.

An item that may not be recommended still counts in histories, in training and in popularity; it is in no item index that
lists are ranked from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.config import UserItemTopkConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.score.item_groups import CATEGORY, COLUMNS, CREATOR, grouping
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.warehouse import Warehouse

TELLING = ["item_id", "persona_id", "text_hash", "profile_hash"]
"""Columns of `persona_vectors` that differ where a vector does."""


@dataclass(frozen=True, slots=True)
class EligibleItems:
    """Items that may be recommended, in one state of the warehouse.

    Attributes:
        personas: rows of `persona_vectors` of one encoder.
        items: `item_groups.COLUMNS` of items; None where neither a cap nor a block asks about groups.
        blocked: kinds of groups that somebody blocks.
    """

    personas: pa.Table
    items: pa.Table | None
    blocked: tuple[str, ...]

    @classmethod
    def of(
        cls,
        warehouse: Warehouse,
        encoder_id: str,
        config: UserItemTopkConfig,
        blocked: tuple[str, ...],
        columns: list[str] | None = None,
        versions: Mapping[str, int] | None = None,
    ) -> "EligibleItems":
        """Load them, with all `columns` of `persona_vectors` or some, at the versions of a release or as the task sees them."""
        stored = {
            table: warehouse.dataset(table, versions[table] if versions else None)
            for table in ("persona_vectors", "items")
        }
        personas = warehouse.query(
            f"SELECT {', '.join(columns or ['*'])} FROM persona_vectors SEMI JOIN (SELECT item_id FROM items WHERE available) "
            "USING (item_id) WHERE encoder_id = $id",
            [],
            {"id": encoder_id},
            **stored,
        )
        asked = bool(blocked or config.max_per_category or config.max_per_creator)
        sql = f"SELECT {', '.join(COLUMNS)} FROM items WHERE available"
        items = warehouse.query(sql, [], items=stored["items"]) if asked else None
        return cls(personas, items, blocked)

    def ranked_by(self, ranking: RankingInputs, config: UserItemTopkConfig) -> RankingInputs:
        """Give a ranking of some of the items the groups it needs."""
        return ranking.grouped(self.items, config, self.blocked) if self.items is not None else ranking

    def telling(self, config: UserItemTopkConfig) -> pa.Table:
        """Say of every persona what a score and a list's rules depend on: `TELLING`, and where groups matter, `groups`."""
        told = self.personas.select(TELLING)
        if self.items is None:
            return told
        groups = grouping(self.items, config, self.blocked)
        place = pc.index_in(told["item_id"], groups["item_id"].combine_chunks())
        return told.append_column("groups", groups["groups"].combine_chunks().take(place.combine_chunks()))


def blocked_kinds(warehouse: Warehouse) -> tuple[str, ...]:
    """Kinds of groups that somebody blocks, sorted."""
    found = warehouse.query("SELECT DISTINCT kind FROM blocks", ["blocks"])["kind"].to_pylist()
    return tuple(sorted({CREATOR, CATEGORY}.intersection(found)))


def require_some(eligible: EligibleItems, encoder_id: str) -> None:
    """Raise PipelineError where no item with a persona may be recommended."""
    if not eligible.personas.num_rows:
        raise PipelineError(
            f"no item with a persona by encoder {encoder_id} may be recommended tonight: items.unavailable_reason says why, "
            "eligibility.file and eligibility.full_catalogue decide it"
        )
