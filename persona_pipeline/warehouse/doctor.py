"""Repair a warehouse's caches, whose duplicate keys no task would remove, and tell of an erasure that has not ended."""

from pathlib import Path

from rich.console import Console

from persona_pipeline.contracts import table_names
from persona_pipeline.core.terminal import counted
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.erasures import require_none_pending


def mend(root: Path, console: Console) -> None:
    """Delete duplicate keys in every cache: they fail the audit of every night, and no task removes them."""
    require_none_pending(root)
    warehouse = Warehouse(root, {"job": "doctor"})
    for table in table_names("cache"):
        gone = warehouse.drop_duplicates(table) if warehouse.exists(table) else 0
        told = f"{counted(gone, 'row')} taken out that said the same again" if gone else "sound"
        console.print(f"{table}: {told}", markup=False)
