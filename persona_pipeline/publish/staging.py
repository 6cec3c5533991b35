"""Where candidates of published tables wait for the audit."""

from persona_pipeline.warehouse import Warehouse

PUBLISHED = ("user_item_topk", "default_topk")
"""Tables readers open: changed only by a publication."""


def staged_tables(warehouse: Warehouse) -> Warehouse:
    """The warehouse of candidates: same tables and contracts, beside the published ones."""
    return Warehouse(warehouse.root / "_candidates", warehouse.commit)
