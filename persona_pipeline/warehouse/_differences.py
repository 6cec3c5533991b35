"""Diff rows against stored rows by key, in DuckDB."""

import atexit
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from persona_pipeline.contracts import Contract
from persona_pipeline.core.errors import PipelineError

if TYPE_CHECKING:
    import duckdb


_bounds: tuple[int, str] = (0, "")


def limit_memory(most: int, spill: Path | None = None) -> None:
    """Have all that this process asks of DuckDB from now on hold at most so many bytes, and put the rest into a folder.

    0 is no bound; without a folder of its own it spills into the machine's for temporary files.
    """
    _bound(most, str(spill or ""))


def _bound(most: int, spill: str) -> None:
    global _bounds
    _bounds = (most, spill)


@contextmanager
def bounded_memory(most: int, spill: Path) -> Iterator[None]:
    """`limit_memory` for a task. Raises PipelineError, naming the setting, where something it asks cannot be done in so much."""
    before = _bounds
    limit_memory(most, spill)
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "OutOfMemoryException":
            raise
        raise PipelineError(
            f"DuckDB could not do with {most >> 20} MB (keyed.memory_bytes). Raise it, or where a keyed task failed lower "
            f"keyed.bucket_bytes. It said: {str(error).splitlines()[0]}"
        ) from error
    finally:
        _bound(*before)
        _database.cache_clear()  # its folder is the task's


def connect() -> "duckdb.DuckDBPyConnection":
    """Open a connection to this process's database, which holds nothing but what its connections register and create for a time.

    One database: to make one takes some 50 ms. DuckDB is imported where it is needed, since serving never needs it.
    """
    return _database(os.getpid(), *_bounds).cursor()


@cache
def _database(process: int, most: int, spill: str) -> "duckdb.DuckDBPyConnection":
    """A process's database; a fork is a process of its own."""
    import duckdb

    # Never where the process happens to run, and nobody else's: DuckDB names its files alike in every process. It makes the folder
    # when it spills.
    folder = spill or str(Path(tempfile.gettempdir()) / f"persona-pipeline-spill.{process}")
    return duckdb.connect(config={"temp_directory": folder, **({"memory_limit": f"{most}B"} if most else {})})


atexit.register(_database.cache_clear)  # DuckDB's library complains of what outlives the interpreter


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
