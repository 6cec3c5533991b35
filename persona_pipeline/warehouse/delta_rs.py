"""Write Delta tables by delta-rs: Arrow tables in, only the differences committed.

Memory: a write holds the new rows and streams the stored ones.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Schema, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from persona_pipeline.contracts import Contract, load_contract, table_names
from persona_pipeline.core.errors import ContractError, PipelineError
from persona_pipeline.warehouse import _earlier
from persona_pipeline.warehouse._delta import READABLE, TABLE_PROPERTIES, delta_field, overtaken, without_comments
from persona_pipeline.warehouse._differences import differences, quoted
from persona_pipeline.warehouse._locks import lock
from persona_pipeline.warehouse._tables import Tables
from persona_pipeline.warehouse.changes import Change, without
from persona_pipeline.warehouse.data_files import ROWS_PER_GROUP, DataFile, written_files


@dataclass(frozen=True, slots=True)
class WriteResult:
    """Row counts of a write. `version` is the table's Delta version afterwards."""

    table: str
    version: int
    inserted: int
    updated: int
    deleted: int

    @property
    def changed(self) -> bool:
        """Whether the write committed."""
        return bool(self.inserted or self.updated or self.deleted)

    def as_dict(self) -> dict[str, Any]:
        """Convert for a job's JSON summary."""
        return asdict(self)


class Warehouse(Tables):
    """One folder of Delta tables. `commit` is stored in the commit metadata of every write.

    With `pins` the newest version of a table is the pinned one, and reads and writes are recorded.
    """

    def unneeded_files(self, table: str, keep: Sequence[int], grace_hours: int) -> list[Path]:
        """List files that neither the newest version nor one of `keep` needs, and that are older than `grace_hours`.

        Files of the change data feed since the oldest of `keep` are needed too.
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
            named -= {
                path for path in named if path.is_relative_to(feed) and path.is_file() and path.stat().st_mtime > since
            }
        # The log knows nothing of the checksums that Hadoop keeps beside its files; they go with them.
        data = [path for path in named if not path.name.startswith(".")]
        # delta-rs also lists files that are deleted already.
        return sorted(file for path in data for file in (path, path.with_name(f".{path.name}.crc")) if file.is_file())

    def restore(self, table: str, version: int) -> bool:
        """Make the newest version equal an earlier one, in one commit that copies no data; False where it is equal already.

        Raises PipelineError for a version that is gone, BusyError where another process writes the table.
        """
        with self.lock(table):
            wanted, target = self.files(table, version), self._open(table)
            if wanted == self.files(table):
                return False
            if not all(path.is_file() for path in wanted):
                raise PipelineError(f"table {table}: files of version {version} were deleted; it cannot be restored")
            try:
                target.restore(version, commit_properties=self._properties(exclusive=True))
            except CommitFailedError as error:
                raise overtaken(table) from error
            return True

    def lacking(self, table: str) -> list[str]:
        """List what the newest version lacks of its contract: an earlier version of this code made it.

        Raises PipelineError where it has what the contract does not name.
        """
        return _earlier.lacking_only(load_contract(table), self._open(table))

    def given_up(self, table: str) -> list[str]:
        """List columns of the newest version that are no longer kept."""
        return _earlier.given_up(load_contract(table), self._open(table))

    def check_writable(self, table: str) -> None:
        """Raise PipelineError, saying what to do, where the table was made by an earlier or a later version of this code."""
        if self.exists(table):
            _earlier.check_writable(load_contract(table), self._open(table), self.root)

    def check_layout(self) -> None:
        """Raise PipelineError where a task could not write some table of the warehouse; of a new one note the layout.

        Tables staged in it are the caller's to check: they are a warehouse of their own.
        """
        found = self.versions()
        for table in [name for name in table_names() if name in found and (self.lacking(name) or self.given_up(name))]:
            self.check_writable(table)
        if not found:
            _earlier.note_layout(self.root)

    def add_columns(self, table: str) -> None:
        """Give the newest version exactly its contract's columns; what releases name stays as it is."""
        place = Path(self.path(table)).resolve()  # a cache may be another warehouse's
        with lock(place.parent, place.name, self.commit):
            _earlier.add_columns(load_contract(table), self._open(table), self._properties(exclusive=True))

    def append(self, table: str, rows: pa.Table) -> None:
        """Append rows whose keys the caller knows to be new; one commit, without comparing stored rows."""
        contract = self._writable(table)
        self._commit(contract, self._created(contract), contract.conform(rows), "append")

    def add_new(self, table: str, rows: pa.Table, since: int | None = None) -> WriteResult:
        """Append the rows whose key the table does not hold, one per key.

        For caches, which runs and backtests fill side by side, whose warehouses may reach the same table by different
        paths: the lock, for which it waits, lies where the table really is. Appends never conflict in Delta by
        themselves.

        `since` is a version that is known to hold none of the keys: only what was added after it is compared, so that filling a
        cache in many commits costs what was added meanwhile, not all of it each time. None: everything is compared.
        """
        contract = self._writable(table)
        place = Path(self.path(table)).resolve()
        with lock(place.parent, place.name, self.commit, wait=True):
            key = ", ".join(quoted(contract.key))
            sql = f"SELECT DISTINCT ON ({key}) * FROM found ANTI JOIN known USING ({key}) ORDER BY ALL"
            new = self.query(sql, [], found=rows, known=self._keys_since(contract, since, rows))
            if new.num_rows or not self.exists(table):
                self.append(table, new)
            return WriteResult(table, self._open(table).version(), new.num_rows, 0, 0)

    def _keys_since(self, contract: Contract, since: int | None, rows: pa.Table) -> Any:
        """Stored rows that may hold a key of these: those in files that were added after a version and hold such a range."""
        dataset = self.dataset(contract.table)
        if isinstance(dataset, pa.Table) or not rows.num_rows:
            return dataset
        last = contract.key[-1]
        least, most = (pc.min_max(rows[last])[bound].as_py() for bound in ("min", "max"))
        before = set() if since is None else self.files(contract.table, since)
        folder = Path(self.path(contract.table))
        within = dataset.get_fragments((ds.field(last) >= least) & (ds.field(last) <= most))
        added = [file for file in within if folder / unquote(file.path) not in before]
        return ds.FileSystemDataset(added, dataset.schema, dataset.format, dataset.filesystem)

    def drop_duplicates(self, table: str) -> int:
        """Delete duplicate keys, for caches; returns the number of rows deleted."""
        contract = self._writable(table)
        place = Path(self.path(table)).resolve()
        with lock(place.parent, place.name, self.commit, wait=True):
            rows = self.query(f"SELECT * FROM {table}", [table])
            key = ", ".join(quoted(contract.key))
            once = self.query(f"SELECT DISTINCT ON ({key}) * FROM rows ORDER BY ALL", [], rows=rows)
            if once.num_rows < rows.num_rows:
                self._commit(contract, self._created(contract), contract.conform(once), "overwrite", exclusive=True)
            return int(rows.num_rows - once.num_rows)

    def replace(self, table: str, rows: pa.Table) -> WriteResult:
        """Make the table hold exactly these rows, committing only the differences."""
        return self._write(self._writable(table), rows, delete_others=True)

    def replace_few(self, table: str, rows: pa.Table) -> WriteResult:
        """`replace` for a table that Spark writes where it is large."""
        return self._write(self._writable(table, "spark"), rows, delete_others=True)

    def append_files(self, table: str, files: Sequence[DataFile], partition: Mapping[str, str]) -> None:
        """Append `data_files.written_files`, whose rows the caller knows to be new, to one partition; one commit."""
        contract = self._writable(table, "spark")
        with self.lock(table):
            target = self._created(contract)
            added: list[AddAction | RemoveAction] = [
                AddAction(file.path, file.size, partition, file.modified, data_change=True, stats=file.stats)
                for file in files
            ]
            try:
                target.create_write_transaction(
                    added, "append", target.schema(), list(contract.partition_by), commit_properties=self._properties()
                )
            except CommitFailedError as error:
                raise overtaken(table) from error

    def commit_changes(self, table: str, changes: Iterable[Change], base: int | None) -> WriteResult:
        """Commit the parts of a write, all that was found different of a table, in one version; none where nothing was.

        Memory: what DuckDB may hold of keys, and a row group of a stored file.

        Args:
            table: a table without partitions.
            changes: by `changes.change_to` or `changes.change_of`, of parts whose keys are not each other's.
            base: the version with which the parts were compared, None where there was no table.

        Raises BusyError where the table has moved on since.
        """
        contract, parts = self._writable(table), list(changes)
        assert not contract.partition_by, f"{table} has partitions: its data files lie in folders of theirs"
        counts = [sum(getattr(part, op) for part in parts) for op in ("inserted", "updated", "deleted")]
        with self.lock(table):
            if (self.version(table) if self.exists(table) else None) != base:
                raise overtaken(table)
            target = self._created(contract)
            actions = self._actions(contract, parts)
            try:
                if actions:
                    done = self._properties(exclusive=True)
                    target.create_write_transaction(actions, "append", target.schema(), commit_properties=done)
            except CommitFailedError as error:
                raise overtaken(table) from error
            written = WriteResult(table, self._open(table).version(), *counts)
            self.wrote(written)
            return written

    def _actions(self, contract: Contract, parts: Sequence[Change]) -> list[AddAction | RemoveAction]:
        """Additions and removals of files that make a table what its parts should be."""
        folder, now = Path(self.path(contract.table)), time.time_ns() // 1_000_000
        added = [file for part in parts for file in part.files]
        removed: list[AddAction | RemoveAction] = []
        if gone := [part.gone for part in parts if part.gone]:
            listed = self._listed(contract.table).select(["path", "size_bytes"]).to_pylist()
            files = {folder / unquote(file["path"]): file for file in listed}
            for path, staying in without(contract, sorted(files), gone):
                added += written_files(folder, contract, staying)
                removed.append(RemoveAction(files[path]["path"], True, now, files[path]["size_bytes"], {}))
        return [
            *removed,
            *(AddAction(f.path, f.size, {}, f.modified, data_change=True, stats=f.stats) for f in added),
        ]

    def upsert(self, table: str, rows: pa.Table, base: int | None = None) -> WriteResult:
        """Insert rows with a new key and update rows that differ; other rows stay.

        `base` is the version the rows were computed from: BusyError where the table has moved on since.
        """
        return self._write(self._writable(table), rows, delete_others=False, base=base)

    def wrote(self, result: WriteResult) -> None:
        """Record a write."""
        if self.pins is not None:
            self.pins.writes[result.table] = (result.version, result.inserted, result.updated, result.deleted)

    def _write(
        self, contract: Contract, rows: pa.Table, *, delete_others: bool, base: int | None = None
    ) -> WriteResult:
        table, rows = contract.table, contract.conform(rows)
        with self.lock(table):
            target = self._created(contract)
            if base is not None and target.version() != base:
                raise overtaken(table)
            changes = differences(contract, rows, target.to_pyarrow_dataset(), delete_others=delete_others)
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
        bare = rows.cast(pa.schema([without_comments(field) for field in rows.schema]))
        if contract.sort_by:
            bare = bare.sort_by([(name, "ascending") for name in contract.sort_by])
        files = WriterProperties(compression="SNAPPY", max_row_group_size=ROWS_PER_GROUP if contract.sort_by else None)
        done = self._properties(exclusive)
        try:
            write_deltalake(target, bare, mode=mode, commit_properties=done, writer_properties=files)
        except CommitFailedError as error:
            raise overtaken(contract.table) from error

    def _others(self, contract: Contract, rows: pa.Table) -> pa.Table:
        """Stored rows with none of these keys."""
        columns, using = (", ".join(quoted(names)) for names in (contract.names, contract.key))
        sql = f"SELECT {columns} FROM {contract.table} ANTI JOIN wanted USING ({using})"
        return self.query(sql, [contract.table], wanted=rows).cast(contract.arrow_schema())

    def _writable(self, table: str, engine: Literal["spark", "delta-rs"] = "delta-rs") -> Contract:
        assert table not in self._held, f"{table} is held in memory here: writing would replace the whole table by it"
        contract = load_contract(table)
        if contract.engine != engine:
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
            _earlier.check_writable(contract, stored, self.root)
            return stored
        schema = Schema([delta_field(field) for field in contract.arrow_schema()])
        return DeltaTable.create(
            self.path(contract.table),
            schema,
            partition_by=list(contract.partition_by),
            name=contract.table,
            description=contract.description,
            configuration=TABLE_PROPERTIES | (READABLE if contract.engine == "spark" else {}),
            commit_properties=self._properties(),
        )
