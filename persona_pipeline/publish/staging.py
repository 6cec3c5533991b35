"""Open the staged tables: `user_item_topk` and `default_topk` under `_candidates`, awaiting the audit."""

from persona_pipeline.warehouse import Warehouse

PUBLISHED = ("user_item_topk", "default_topk")
"""Tables readers open: changed only by a publication."""


def staged_tables(warehouse: Warehouse) -> Warehouse:
    """The warehouse of staged tables: same tables and contracts, beside the published ones."""
    return Warehouse(warehouse.root / "_candidates", warehouse.commit)
