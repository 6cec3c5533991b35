"""Diff rows against stored rows by key, in DuckDB."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from persona_pipeline.contracts import Contract

if TYPE_CHECKING:
    import duckdb


def connect() -> "duckdb.DuckDBPyConnection":
    """Open a connection; DuckDB is imported here, since serving never needs it."""
    import duckdb

    return duckdb.connect()


def quoted(columns: Sequence[str]) -> list[str]:
    """Quote names as SQL identifiers."""
    return [f'"{column}"' for column in columns]


def differences(contract: Contract, rows: pa.Table, stored: Any, *, delete_others: bool) -> pa.Table:
    """Return new, changed and (with `delete_others`) vanished rows with their `_op`. Hash joins on the key: O(new + stored)."""
    using = ", ".join(quoted(contract.key))
    values = [name for name in contract.names if name not in contract.key]
    differs = " OR ".join(f'wanted."{name}" IS DISTINCT FROM stored."{name}"' for name in values) or "false"
    found = f'stored."{contract.key[0]}"'
    columns = ", ".join(f'wanted."{name}"' for name in contract.names)
    query = (
        f"SELECT {columns}, CASE WHEN {found} IS NULL THEN 'insert' ELSE 'update' END AS _op "
        f"FROM wanted LEFT JOIN stored USING ({using}) WHERE {found} IS NULL OR {differs}"
    )
    if delete_others:
        kept = ", ".join(quoted(contract.names))
        query += f" UNION ALL SELECT {kept}, 'delete' AS _op FROM stored ANTI JOIN wanted USING ({using})"
    with connect() as connection:
        connection.register("wanted", rows)
        connection.register("stored", stored)
        changes = connection.sql(query).to_arrow_table()
    schema = contract.arrow_schema().append(pa.field("_op", pa.string()))
    return changes.cast(schema)
