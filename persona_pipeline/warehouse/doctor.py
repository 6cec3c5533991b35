"""What can be wrong with a warehouse though every task did its part, and is mended without making anything anew."""

from pathlib import Path

from rich.console import Console

from persona_pipeline.contracts import table_names
from persona_pipeline.core.terminal import counted
from persona_pipeline.warehouse import Warehouse


def mend(root: Path, console: Console) -> None:
    """Leave one row a key in every cache: a second one fails the audit of every night, and nothing else takes it away."""
    warehouse = Warehouse(root, {"job": "doctor"})
    for table in table_names("cache"):
        gone = warehouse.drop_duplicates(table) if warehouse.exists(table) else 0
        told = f"{counted(gone, 'row')} taken out that said the same again" if gone else "sound"
        console.print(f"{table}: {told}", markup=False)
