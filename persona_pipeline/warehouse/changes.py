"""Write the differences of a table by parts: each part data files and the keys whose stored row goes, all committed at once.

A part is computed and written by itself, on whichever machine, so that no process ever holds a table. Stored files that hold a
key that goes are written anew without it, one row group at a time; files of which nothing is left are only removed from the log.
"""

import glob
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from persona_pipeline.contracts import Contract
from persona_pipeline.warehouse import _earlier
from persona_pipeline.warehouse._differences import connect, differences, quoted
from persona_pipeline.warehouse.data_files import DataFile, written_files

_ROWS = 16_384  # of a stored file in memory, beside its row group


class Change(NamedTuple):
    """What changes in one part of a table."""

    files: tuple[DataFile, ...]
    """Data files in the table's folder of the rows that are new or differ."""
    gone: str | None
    """Parquet file of the keys whose stored row goes, because it differs or is not wanted any more."""
    inserted: int
    updated: int
    deleted: int


def change_to(folder: Path, contract: Contract, wanted: pa.Table, stored: object, scratch: Path) -> Change:
    """Write what differs between the rows that a table should hold of some keys, and those it holds of them.

    Args:
        folder: of the table.
        contract: of the table.
        wanted: all rows it should hold of these keys.
        stored: the rows it holds of them, an Arrow table or dataset.
        scratch: where keys are written.
    """
    found = differences(contract, contract.conform(wanted), stored, delete_others=True)
    op = found["_op"]
    made = found.filter(pc.not_equal(op, "delete")).drop_columns(["_op"])
    gone = found.filter(pc.not_equal(op, "insert")).select(list(contract.key))
    return change_of(folder, contract, made, gone, scratch)


def change_of(folder: Path, contract: Contract, made: pa.Table, gone: pa.Table, scratch: Path) -> Change:
    """Write the rows that are new or differ, and the keys whose stored row goes, those of differing rows among them."""
    made = contract.conform(made)
    files = tuple(written_files(folder, contract, made.to_batches()))
    if not gone.num_rows:
        return Change(files, None, made.num_rows, 0, 0)
    with connect() as connection:
        key = ", ".join(quoted(contract.key))
        connection.register("made", made.select(list(contract.key)))
        connection.register("gone", gone)
        updated = connection.sql(f"SELECT count(*) FROM made SEMI JOIN gone USING ({key})").fetchall()[0][0]
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / f"{contract.table}-{uuid.uuid4()}.parquet"
    pq.write_table(gone.select(list(contract.key)), path)
    return Change(files, str(path), made.num_rows - updated, updated, gone.num_rows - updated)


def without(
    contract: Contract, stored: Sequence[Path], gone: Sequence[str]
) -> Iterator[tuple[Path, Iterator[pa.RecordBatch]]]:
    """Of each stored file that holds a key that goes: its path, and the rows that stay, nothing where none do.

    One pass over the keys of all files, joined with those that go; then one over each file of which something stays.
    """
    paths = {str(path): path for path in stored}
    with connect() as connection:
        key = ", ".join(quoted(contract.key))
        connection.execute(
            f"CREATE TEMP TABLE hits AS SELECT filename, place FROM (SELECT {key}, filename, file_row_number AS place FROM "
            f"read_parquet($stored, filename = true, file_row_number = true)) SEMI JOIN read_parquet($gone) USING ({key})",
            # Names are no patterns here.
            {"stored": [glob.escape(name) for name in paths], "gone": [glob.escape(name) for name in gone]},
        )
        hit = connection.sql("SELECT filename, count(*) FROM hits GROUP BY filename ORDER BY filename").fetchall()
        for name, count in hit:
            if count == pq.read_metadata(name).num_rows:
                yield paths[name], iter(())
                continue
            places = connection.execute("SELECT place FROM hits WHERE filename = $name", {"name": name}).fetchnumpy()
            yield paths[name], _staying(contract, paths[name], np.asarray(places["place"]))


def _staying(contract: Contract, path: Path, gone: np.ndarray) -> Iterator[pa.RecordBatch]:
    gone, start = np.sort(gone), 0
    with pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as file:
        for batch in file.iter_batches(_ROWS):
            first, last = np.searchsorted(gone, (start, start + batch.num_rows))
            stays = np.ones(batch.num_rows, bool)
            stays[gone[first:last] - start] = False
            start += batch.num_rows
            rows = pa.Table.from_batches([batch]).filter(pa.array(stays))
            yield from _earlier.completed(contract, rows).to_batches()
