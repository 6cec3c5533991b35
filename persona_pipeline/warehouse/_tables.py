"""Read Delta tables by delta-rs and DuckDB, at their newest versions or at those pinned for a run's task."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.warehouse import _earlier
from persona_pipeline.warehouse._differences import connect, quoted
from persona_pipeline.warehouse._locks import holder, holders, lock
from persona_pipeline.warehouse._pins import Pins


class Tables:
    """One folder of Delta tables, for reading.

    With `pins` the newest version of a table is the pinned one, and reads are recorded.
    """

    def __init__(self, root: str | Path, commit: Mapping[str, str] | None = None, pins: Pins | None = None) -> None:
        self.root = _folder(root)
        _earlier.layout(self.root)  # refuses a later version's
        self.commit = dict(commit or {})
        self.pins = pins
        self._held: dict[str, pa.Table] = {}

    def holding(self, **tables: pa.Table) -> Self:
        """Overlay tables in memory: `query` finds these in place of the stored ones, for trials or parts of the data."""
        other = type(self)(self.root, self.commit, self.pins)
        other._held = {**self._held, **tables}
        return other

    def without_rows(self) -> Self:
        """The warehouse without tables in memory."""
        return type(self)(self.root, self.commit, self.pins)

    def path(self, table: str) -> str:
        """Folder of a table."""
        return str(self.root / table)

    def exists(self, table: str) -> bool:
        """Whether the table was ever written."""
        if self.pins and self.pins.holds(table) and table not in self.pins.versions:
            return False
        return DeltaTable.is_deltatable(self.path(table))

    def version(self, table: str) -> int | None:
        """Newest Delta version, None where there is no table."""
        return self._open(table).version() if self.exists(table) else None

    def versions(self) -> dict[str, int]:
        """Newest version of every table in the warehouse, by name."""
        found = sorted(p.parent.name for p in self.root.glob("*/_delta_log"))
        return {
            table: self._open(table).version() for table in found if not table.startswith("_") and self.exists(table)
        }

    def partitions(self, table: str, since: int | None = None) -> list[dict[str, Any]]:
        """List the table's partitions, by column; with `since` those that got a file after that version."""
        found = self._listed(table).to_pylist()
        before = set() if since is None else set(self._listed(table, since)["path"].to_pylist())
        names = self._open(table).metadata().partition_columns
        new = [row for row in found if row["path"] not in before]
        return [
            dict(zip(names, values, strict=True))
            for values in sorted({tuple(row[f"partition.{n}"] for n in names) for row in new})
        ]

    def read(
        self, table: str, columns: Sequence[str] | None = None, version: int | None = None, where: str | None = None
    ) -> pa.Table:
        """Rows of a table at a version (the newest by default), in key order; `where` is a SQL condition.

        A table never written is empty. Raises PipelineError for a version that is gone.
        """
        contract = load_contract(table)
        names = list(columns or contract.names)
        if not self.exists(table):
            if version is not None:
                raise PipelineError(
                    f"table {table}: version {version} asked for, but there is no table at {self.path(table)}"
                )
            return pa.schema([contract.arrow_schema().field(name) for name in names]).empty_table()
        stored = _earlier.dataset(contract, self._open(table, version))
        order = ", ".join(quoted(contract.key))
        with connect() as connection:
            connection.register("stored", stored)
            return connection.sql(
                f"SELECT {', '.join(quoted(names))} FROM stored WHERE {where or 'true'} ORDER BY {order}"
            ).to_arrow_table()

    def dataset(self, table: str, version: int | None = None) -> Any:
        """Open a version (the newest by default) as a lazy Arrow dataset.

        An empty table where it was never written. Raises PipelineError for a version that is gone.
        """
        if table in self._held:
            return self._held[table]
        if version is None and not self.exists(table):
            return load_contract(table).arrow_schema().empty_table()
        return _earlier.dataset(load_contract(table), self._open(table, version))

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Hold a table, or any other `name`, against other writers. Raises BusyError where another process holds it."""
        return lock(self.root, name, self.commit)

    def holder(self, name: str) -> str | None:
        """Describe the holder of a lock; None where it is free."""
        return holder(self.root, name)

    def holders(self, beginning: str) -> dict[str, str]:
        """Describe the holders of locks whose names begin so, by name."""
        return holders(self.root, beginning)

    def row_count(self, table: str, version: int) -> int:
        """Number of rows of a version, from its log."""
        return int(sum(self._listed(table, version)["num_records"].to_pylist()))

    def holds_few(self, table: str, most: int, version: int | None = None) -> bool:
        """Whether a version (the newest by default) has at most so many rows; no where its log does not say how many."""
        counts = self._listed(table, version)["num_records"]
        return bool(counts.null_count == 0 and sum(counts.to_pylist()) <= most)

    def stored_bytes(self, *tables: str) -> int:
        """Bytes of the newest versions of tables, as they are stored; none of one never written."""
        return sum(sum(self._listed(table)["size_bytes"].to_pylist()) for table in tables if self.exists(table))

    def files(self, table: str, version: int | None = None) -> set[Path]:
        """Paths of the files of a version (the newest by default), whether or not they still exist."""
        return {self.root / table / unquote(path) for path in self._listed(table, version)["path"].to_pylist()}

    def query(
        self, sql: str, tables: Sequence[str], parameters: Mapping[str, Any] | None = None, **given: Any
    ) -> pa.Table:
        """Run DuckDB SQL over tables of the warehouse (newest versions) and the given Arrow tables or datasets, by name.

        A table never written is empty. `$name` in the query takes its value from `parameters`.
        """
        with connect() as connection:
            for table in tables:
                connection.register(table, self.dataset(table))
            for name, rows in given.items():
                connection.register(name, rows)
            return connection.sql(sql, params=dict(parameters or {})).to_arrow_table()

    @contextmanager
    def batches(
        self,
        sql: str,
        tables: Sequence[str],
        parameters: Mapping[str, Any] | None = None,
        rows: int = 65_536,
        **given: Any,
    ) -> Iterator[pa.RecordBatchReader]:
        """Run `query` as a stream, some `rows` at a time; nothing of its result is held."""
        with connect() as connection:
            for table in tables:
                connection.register(table, self.dataset(table))
            for name, told in given.items():
                connection.register(name, told)
            yield connection.sql(sql, params=dict(parameters or {})).to_arrow_reader(rows)

    def _listed(self, table: str, version: int | None = None) -> pa.Table:
        """List the files of a version, one a row; `path` is percent-encoded, as Delta's log has it.

        Not `file_uris`: it encodes the folder of the table but not the path below it, so that no decoding is right for
        both.
        """
        return pa.table(self._open(table, version).get_add_actions(flatten=True))

    def reading(self, table: str) -> int | None:
        """Return the pinned version of a table and record the read; None if it is not pinned. Raises PipelineError."""
        if self.pins is None or not self.pins.holds(table):
            return None
        self.pins.check(table)
        if table not in self.pins.versions:
            raise PipelineError(f"table {table}: it did not exist when the run was opened, and no task of it made it")
        return self.pins.reads.setdefault(table, self.pins.versions[table])

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        if version is None:
            version = self.reading(table)
        try:
            return DeltaTable(self.path(table), version=version)
        except DeltaError as error:  # of a version whose log is gone delta-rs says that there is no table
            if version is None and isinstance(error, TableNotFoundError):
                raise PipelineError(f"table {table}: nothing at {self.path(table)}") from error
            if version is None:
                raise
            raise PipelineError(
                f"table {table}: version {version} cannot be opened at {self.path(table)}: {error}"
            ) from error


def _folder(root: str | Path) -> Path:
    """The warehouse's folder. Raises PipelineError for an address: as a path `s3://x` would become a folder `s3:` here."""
    if any(part.endswith(":") for part in Path(root).parts):
        raise PipelineError(
            f"warehouse {root}: an address where a folder was expected. Tables are kept in folders that this machine reads and "
            "writes; give the path at which the store is mounted"
        )
    return Path(root)
