"""Open a run's tables at the versions in its row of `releases`; staged tables where the run was refused."""

from collections.abc import Mapping, Sequence
from typing import Any

from deltalake import DeltaTable

from persona_pipeline.core.item_titles import title_sql
from persona_pipeline.publish.staging import PUBLISHED, staged_tables
from persona_pipeline.warehouse import Warehouse

Row = dict[str, Any]

TITLE = f"coalesce({title_sql('items.title', 'item_summaries.summary')}, items.item_id)"
"""SQL for what an item is called, over `items` and `item_summaries` joined: as `user_item_topk` calls it."""


class RunTables(Warehouse):
    """The warehouse as a run left it, for reading.

    Tables open at the versions of the release row, so a page rendered again after later nights shows the same rows.
    Where the run was not published, `user_item_topk` and `default_topk` are its staged tables: readers never saw them.
    """

    def __init__(self, warehouse: Warehouse, release_row: Mapping[str, Any]) -> None:
        super().__init__(warehouse.root, warehouse.commit)
        refused = release_row["verdict"] in ("refused", "accepted")
        self._candidates = staged_tables(warehouse) if refused else None
        self._opened: dict[str, Any] = {}
        self._versions: dict[str, int] = {
            entry["table"]: entry["version"]
            for entry in release_row["table_versions"]
            if not (refused and entry["table"] in PUBLISHED)
        }

    def path(self, table: str) -> str:
        """Folder of a table, or of its staged version."""
        if self._candidates is not None and table in PUBLISHED:
            return self._candidates.path(table)
        return super().path(table)

    def rows(self, sql: str, tables: Sequence[str], parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Return the rows of a query. Only for aggregates and samples: the result is held in Python."""
        found: list[Row] = self.query(sql, tables, parameters).to_pylist()
        return found

    def dataset(self, table: str, version: int | None = None) -> Any:
        """Open one snapshot of a table for all queries of the page."""
        if version is not None:
            return super().dataset(table, version)
        if table not in self._opened:
            self._opened[table] = super().dataset(table)
        return self._opened[table]

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        return super()._open(table, self._versions.get(table) if version is None else version)
