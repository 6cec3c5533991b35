"""The delta-rs side of the warehouse: Arrow tables in, Arrow tables out, differences found by DuckDB.

Memory: a write holds the new rows and streams the stored ones; a read holds what it returns.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from persona_pipeline.contracts import Contract, load_contract, table_names
from persona_pipeline.errors import BusyError, ContractError, PipelineError
from persona_pipeline.warehouse import _earlier
from persona_pipeline.warehouse._claims import claim, holder
from persona_pipeline.warehouse._pins import Pins

TABLE_PROPERTIES = {
    # Releases name versions and decide how long those are kept (`publish.retention`). By Delta's own defaults the log of a
    # version, and with it the way to open it, goes after 30 days, and Spark refuses to open one that is a week old.
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
"""Properties of every table, whichever engine creates it."""

if TYPE_CHECKING:
    import duckdb

_ROWS_PER_GROUP = 512  # of a table stored in order: what is read for the sake of one row


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write changed. `version` is the table's Delta version afterwards."""

    table: str
    version: int
    inserted: int
    updated: int
    deleted: int

    @property
    def changed(self) -> bool:
        """Whether anything was committed."""
        return bool(self.inserted or self.updated or self.deleted)

    def as_dict(self) -> dict[str, Any]:
        """For a job's JSON summary."""
        return asdict(self)


class Warehouse:
    """One folder of Delta tables. `commit` is kept in the commit metadata of every write.

    With `pins` the newest version of a table is the one that the run gives its task, and what it reads and writes is noted.
    """

    def __init__(
        self, root: str | Path, commit: Mapping[str, str] | None = None, pins: Pins | None = None
    ) -> None:
        self.root = Path(root)
        _earlier.layout(self.root)  # refuses a later version's
        self.commit = dict(commit or {})
        self.pins = pins
        self._held: dict[str, pa.Table] = {}

    def holding(self, **tables: pa.Table) -> "Warehouse":
        """The same warehouse, where `query` finds these tables in the place of its own: to try out, or to look at a part."""
        other = Warehouse(self.root, self.commit, self.pins)
        other._held = {**self._held, **tables}
        return other

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
        return {table: self._open(table).version() for table in found if not table.startswith("_") and self.exists(table)}

    def partitions(self, table: str, since: int | None = None) -> list[dict[str, Any]]:
        """Partitions the table has, by column; with `since` those that got a file after that version."""
        found = self._listed(table).to_pylist()
        before = set() if since is None else set(self._listed(table, since)["path"].to_pylist())
        names = self._open(table).metadata().partition_columns
        new = [row for row in found if row["path"] not in before]
        return [dict(zip(names, values, strict=True)) for values in sorted({tuple(row[f"partition.{n}"] for n in names) for row in new})]

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
        order = ", ".join(_quoted(contract.key))
        with _duckdb() as connection:
            connection.register("stored", stored)
            return connection.sql(
                f"SELECT {', '.join(_quoted(names))} FROM stored WHERE {where or 'true'} ORDER BY {order}"
            ).to_arrow_table()

    def dataset(self, table: str, version: int | None = None) -> Any:
        """A version (the newest by default) as an Arrow dataset, which reads nothing yet.

        An empty table where it was never written. Raises PipelineError for a version that is gone.
        """
        if table in self._held:
            return self._held[table]
        if version is None and not self.exists(table):
            return load_contract(table).arrow_schema().empty_table()
        return _earlier.dataset(load_contract(table), self._open(table, version))

    def claim(self, name: str) -> AbstractContextManager[None]:
        """Hold a table, or whatever `name` stands for, against other writers. Raises BusyError where one holds it."""
        return claim(self.root, name, self.commit)

    def holder(self, name: str) -> str | None:
        """Who holds it, None where nobody does."""
        return holder(self.root, name)

    def row_count(self, table: str, version: int) -> int:
        """Rows of a version, as its log says."""
        return int(sum(self._listed(table, version)["num_records"].to_pylist()))

    def files(self, table: str, version: int | None = None) -> set[Path]:
        """Paths of the files a version (the newest by default) is made of, whether or not they are still there."""
        return {self.root / table / unquote(path) for path in self._listed(table, version)["path"].to_pylist()}

    def unneeded_files(self, table: str, keep: Sequence[int], grace_hours: int) -> list[Path]:
        """Files that neither the newest version nor one of `keep` needs, and that are not younger than `grace_hours`.

        What a change data feed says since the oldest of `keep` stays too.
        """
        assert self.pins is None, "what an older version does not need may be needed"
        found = self._open(table).vacuum(
            retention_hours=grace_hours,
            dry_run=True,
            enforce_retention_duration=False,
            full=True,
            keep_versions=list(keep),
        )
        named = {self.root / table / name for name in found}
        if keep:
            since = (self.root / table / "_delta_log" / f"{min(keep):020}.json").stat().st_mtime
            feed = self.root / table / "_change_data"
            named -= {path for path in named if path.is_relative_to(feed) and path.is_file() and path.stat().st_mtime > since}
        # The log knows nothing of the checksums that Hadoop keeps beside its files; they go with them.
        data = [path for path in named if not path.name.startswith(".")]
        # What was deleted before is still told.
        return sorted(file for path in data for file in (path, path.with_name(f".{path.name}.crc")) if file.is_file())

    def restore(self, table: str, version: int) -> bool:
        """Make the newest version equal an earlier one, in one commit that copies no data; False where it is equal already.

        Raises PipelineError for a version that is gone, BusyError where another process writes the table.
        """
        with self.claim(table):
            wanted, target = self.files(table, version), self._open(table)
            if wanted == self.files(table):
                return False
            if not all(path.is_file() for path in wanted):
                raise PipelineError(f"table {table}: files of version {version} were deleted; it cannot be restored")
            try:
                target.restore(version, commit_properties=self._properties(exclusive=True))
            except CommitFailedError as error:
                raise _overtaken(table) from error
            return True

    def query(
        self, sql: str, tables: Sequence[str], parameters: Mapping[str, Any] | None = None, **given: Any
    ) -> pa.Table:
        """DuckDB SQL over tables of the warehouse (newest versions) and the given Arrow tables or datasets, by name.

        A table never written is empty. `$name` in the query takes its value from `parameters`.
        """
        with _duckdb() as connection:
            for table in tables:
                connection.register(table, self.dataset(table))
            for name, rows in given.items():
                connection.register(name, rows)
            return connection.sql(sql, params=dict(parameters or {})).to_arrow_table()

    def lacking(self, table: str) -> list[str]:
        """What the newest version lacks of its contract: an earlier version of this code made it.

        Raises PipelineError where it has what the contract does not name.
        """
        return _earlier.lacking_only(load_contract(table), self._open(table))

    def check_writable(self, table: str) -> None:
        """Raise PipelineError, saying what to do, where the table was made by an earlier or a later version of this code."""
        if self.exists(table):
            _earlier.check_writable(load_contract(table), self._open(table))

    def check_layout(self) -> None:
        """Raise PipelineError where a task could not write some table of the warehouse; of a new one note the layout."""
        found = self.versions()
        for table in [table for table in table_names() if table in found and self.lacking(table)]:
            self.check_writable(table)
        if not found:
            _earlier.note_layout(self.root)

    def add_columns(self, table: str) -> None:
        """Give the newest version what it lacks of its contract; what releases name stays as it is."""
        with self.claim(table):
            _earlier.add_columns(load_contract(table), self._open(table), self._properties(exclusive=True))

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows whose keys the caller knows to be new; one commit, and no look at what is stored."""
        contract = self._writable(table)
        self._commit(contract, self._created(contract), contract.conform(rows), "append")

    def add_new(self, table: str, rows: pa.Table) -> int:
        """Add those rows whose key the table does not hold, one a key; how many they are.

        For caches, which runs and backtests fill side by side, whose warehouses may reach the same table by different
        paths: the lock, which is waited for, lies where the table really is. Appends never conflict in Delta by themselves.
        """
        contract = self._writable(table)
        place = Path(self.path(table)).resolve()
        with claim(place.parent, place.name, self.commit, wait=True):
            key = ", ".join(_quoted(contract.key))
            sql = f"SELECT DISTINCT ON ({key}) * FROM found ANTI JOIN {table} USING ({key}) ORDER BY ALL"
            new = self.query(sql, [table], found=rows)
            if new.num_rows or not self.exists(table):
                self.append(table, new)
            return int(new.num_rows)

    def drop_duplicates(self, table: str) -> int:
        """Leave one row a key, for caches; how many went."""
        contract = self._writable(table)
        place = Path(self.path(table)).resolve()
        with claim(place.parent, place.name, self.commit, wait=True):
            rows = self.query(f"SELECT * FROM {table}", [table])
            key = ", ".join(_quoted(contract.key))
            once = self.query(f"SELECT DISTINCT ON ({key}) * FROM rows ORDER BY ALL", [], rows=rows)
            if once.num_rows < rows.num_rows:
                self._commit(contract, self._created(contract), contract.conform(once), "overwrite", exclusive=True)
            return int(rows.num_rows - once.num_rows)

    def replace(self, table: str, rows: pa.Table) -> WriteResult:
        """Make the table hold exactly these rows, committing only what differs."""
        return self._write(table, rows, delete_others=True)

    def upsert(self, table: str, rows: pa.Table, base: int | None = None) -> WriteResult:
        """Insert rows with a new key and update those that differ; other rows stay.

        `base` is the version the rows were decided on: BusyError where the table has moved on since.
        """
        return self._write(table, rows, delete_others=False, base=base)

    def wrote(self, result: WriteResult) -> None:
        """Note a write for the record."""
        if self.pins is not None:
            self.pins.writes[result.table] = (result.version, result.inserted, result.updated, result.deleted)

    def _listed(self, table: str, version: int | None = None) -> pa.Table:
        """The files of a version, one a row; `path` is percent-encoded, as Delta's log has it.

        Not `file_uris`: it encodes the folder of the table and leaves what is below it, so that no decoding is right for both.
        """
        return pa.table(self._open(table, version).get_add_actions(flatten=True))

    def reading(self, table: str) -> int | None:
        """The version at which a run's task is given the table, noted as read; None: the newest. Raises PipelineError."""
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

    def _write(self, table: str, rows: pa.Table, *, delete_others: bool, base: int | None = None) -> WriteResult:
        contract = self._writable(table)
        rows = contract.conform(rows)
        with self.claim(table):
            target = self._created(contract)
            if base is not None and target.version() != base:
                raise _overtaken(table)
            changes = _differences(contract, rows, target.to_pyarrow_dataset(), delete_others=delete_others)
            counted = {c["values"]: c["counts"] for c in changes["_op"].value_counts().to_pylist()}
            counts = {op: counted.get(op, 0) for op in ("insert", "update", "delete")}
            if counts["update"] or counts["delete"]:
                # Not delta-rs' merge: the files it writes hold string views, on which Arrow cannot filter, so that neither
                # DuckDB over an Arrow dataset nor `to_pyarrow_table(filters=...)` could read the table any more.
                content = rows if delete_others else pa.concat_tables([self._others(contract, rows), rows])
                self._commit(contract, target, content, "overwrite", exclusive=True)
            elif counts["insert"]:
                self._commit(contract, target, changes.drop_columns(["_op"]), "append", exclusive=True)
            done = WriteResult(table, self._open(table).version(), counts["insert"], counts["update"], counts["delete"])
            self.wrote(done)
            return done

    def _commit(
        self,
        contract: Contract,
        target: DeltaTable,
        rows: pa.Table,
        mode: Literal["append", "overwrite"],
        *,
        exclusive: bool = False,
    ) -> None:
        # Without comments: delta-rs refuses rows whose comments are not the stored ones, so that a better description in a
        # contract would make every older warehouse unwritable.
        bare = rows.cast(pa.schema([_without_comments(field) for field in rows.schema]))
        if contract.sort_by:
            bare = bare.sort_by([(name, "ascending") for name in contract.sort_by])
        files = WriterProperties(
            compression="SNAPPY", max_row_group_size=_ROWS_PER_GROUP if contract.sort_by else None
        )
        done = self._properties(exclusive)
        try:
            write_deltalake(target, bare, mode=mode, commit_properties=done, writer_properties=files)
        except CommitFailedError as error:
            raise _overtaken(contract.table) from error

    def _others(self, contract: Contract, rows: pa.Table) -> pa.Table:
        """Stored rows with none of these keys."""
        columns, using = (", ".join(_quoted(names)) for names in (contract.names, contract.key))
        sql = f"SELECT {columns} FROM {contract.table} ANTI JOIN wanted USING ({using})"
        return self.query(sql, [contract.table], wanted=rows).cast(contract.arrow_schema())

    def _writable(self, table: str) -> Contract:
        assert table not in self._held, f"{table} is held in memory here: writing would replace the whole table by it"
        contract = load_contract(table)
        if contract.engine != "delta-rs":
            raise ContractError(f"table {table}: schemas/{table}.yaml says it is written by {contract.engine}")
        return contract

    def _properties(self, exclusive: bool = False) -> CommitProperties:
        # Delta's own field for this. Keys of our own may collide with its CommitInfo and make the log unreadable: `job` did.
        told = {"userMetadata": json.dumps(self.commit)}
        # What was compared with a version may only follow that version. Left to itself delta-rs tries again on top of an
        # append it did not know of, and an overwrite then leaves the rows of both.
        return CommitProperties(custom_metadata=told, max_commit_retries=0 if exclusive else None)

    def _created(self, contract: Contract) -> DeltaTable:
        if self.exists(contract.table):
            stored = self._open(contract.table)
            _earlier.check_writable(contract, stored)
            return stored
        schema = Schema([_earlier.delta_field(field) for field in contract.arrow_schema()])
        return DeltaTable.create(
            self.path(contract.table),
            schema,
            partition_by=list(contract.partition_by),
            name=contract.table,
            description=contract.description,
            configuration=TABLE_PROPERTIES,
            commit_properties=self._properties(),
        )


def _duckdb() -> "duckdb.DuckDBPyConnection":
    import duckdb  # where it is used: what serves recommendations imports this module and never asks DuckDB

    return duckdb.connect()


def _overtaken(table: str) -> BusyError:
    return BusyError(
        f"table {table}: another process committed to it in the meantime; this one wrote nothing. Run it again"
    )


def _without_comments(field: pa.Field) -> pa.Field:
    kind = field.type
    if pa.types.is_list(kind):
        kind = pa.list_(_without_comments(kind.value_field))
    elif pa.types.is_struct(kind):
        kind = pa.struct([_without_comments(part) for part in kind])
    return pa.field(field.name, kind, field.nullable)


def _quoted(columns: Sequence[str]) -> list[str]:
    return [f'"{column}"' for column in columns]


def _differences(contract: Contract, rows: pa.Table, stored: Any, *, delete_others: bool) -> pa.Table:
    """New, changed and (if asked) vanished rows with their `_op`. Hash joins on the key: O(new + stored)."""
    using = ", ".join(_quoted(contract.key))
    values = [name for name in contract.names if name not in contract.key]
    differs = " OR ".join(f'wanted."{name}" IS DISTINCT FROM stored."{name}"' for name in values) or "false"
    found = f'stored."{contract.key[0]}"'
    columns = ", ".join(f'wanted."{name}"' for name in contract.names)
    query = (
        f"SELECT {columns}, CASE WHEN {found} IS NULL THEN 'insert' ELSE 'update' END AS _op "
        f"FROM wanted LEFT JOIN stored USING ({using}) WHERE {found} IS NULL OR {differs}"
    )
    if delete_others:
        kept = ", ".join(_quoted(contract.names))
        query += f" UNION ALL SELECT {kept}, 'delete' AS _op FROM stored ANTI JOIN wanted USING ({using})"
    with _duckdb() as connection:
        connection.register("wanted", rows)
        connection.register("stored", stored)
        changes = connection.sql(query).to_arrow_table()
    schema = contract.arrow_schema().append(pa.field("_op", pa.string()))
    return changes.cast(schema)
