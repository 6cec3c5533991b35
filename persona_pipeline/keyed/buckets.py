"""Cut what a stage reads into buckets of a key: ranges of its values, so that a bucket's data files hold a range of keys too.

Rows go once from the table's data files into Arrow files of their bucket, in a scratch folder that all processes of a stage
reach. Memory: `BATCH_BYTES` of rows, and the row group they come from. Time: O(rows log buckets).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse._differences import connect

BATCH_BYTES = 16 << 20
TASK_BYTES = 256 << 20
"""Of stored data that one task cuts."""
_EXPANSION = 2  # bytes in memory for one that is stored, before compression
_FEW = 4_096  # rows at a time of a table in memory
_SAMPLED = 256  # keys a bucket, from which the bounds of buckets are chosen
_MOST = 131_072  # rows that are put into buckets at once
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True, slots=True)
class Source:
    """Rows that a stage reads, and the column that says which of them belong together.

    Attributes:
        table: of the warehouse.
        key: column of the result.
        columns: that are read of the table; all of its contract where None.
        sql: over the table `rows`, of each row by itself: what is read of it; all where empty.
        version: of the table; the one its run reads where None.
        name: under which a `Part` holds it; the table's where empty.
        made: rows that an earlier step of the task made, to be read in place of the table's.
    """

    table: str
    key: str
    columns: tuple[str, ...] | None = None
    sql: str = ""
    version: int | None = None
    name: str = ""
    made: ds.Dataset | None = None

    @property
    def called(self) -> str:
        """Name under which a `Part` holds the rows."""
        return self.name or self.table

    def dataset(self, warehouse: Warehouse) -> "ds.Dataset | pa.Table":
        """What is read: nothing of it yet, unless the table is in memory."""
        return warehouse.dataset(self.table, self.version) if self.made is None else self.made

    def stored_bytes(self, warehouse: Warehouse) -> int:
        """Bytes of what is read, as they are stored."""
        if self.made is None:
            return warehouse.stored_bytes(self.table)
        return sum(Path(path).stat().st_size for path in self.made.files)


def number_of_buckets(warehouse: Warehouse, sources: Sequence[Source], bucket_bytes: int) -> int:
    """Number of buckets of which each holds some `bucket_bytes` of stored data; 1 where all is that small."""
    stored = sum(source.stored_bytes(warehouse) for source in sources)
    return max(1, -(-stored // bucket_bytes))


def bounds(warehouse: Warehouse, source: Source, number: int) -> list[str]:
    """Least key of each bucket but the first, so that they are of like size: at most `number - 1`, ascending."""
    with connect() as connection:
        connection.register("rows", source.dataset(warehouse))
        rows = f"({source.sql})" if source.sql else "rows"
        keys = connection.sql(
            f'SELECT "{source.key}" FROM {rows} USING SAMPLE reservoir({_SAMPLED * number} ROWS) REPEATABLE (7) ORDER BY 1'
        ).fetchall()
    found = {keys[place * len(keys) // number][0] for place in range(1, number)} if keys else set()
    return sorted(bound for bound in found if bound > keys[0][0])


def tasks(warehouse: Warehouse, source: Source) -> list[list[int]]:
    """Split a source's data files into tasks of some `TASK_BYTES` each, by their places in the order of their names."""
    split: list[list[int]] = [[]]
    taken = 0
    for place, fragment in enumerate(_fragments(source.dataset(warehouse))):
        size = _size(fragment)
        if split[-1] and taken + size > TASK_BYTES:
            split.append([])
            taken = 0
        split[-1].append(place)
        taken += size
    return split


def scatter(
    warehouse: Warehouse, source: Source, places: Sequence[int], lows: Sequence[str], folder: Path, mark: str
) -> None:
    """Write the rows of some of a source's data files into files of their buckets, `mark` in their names."""
    write_buckets(_read(warehouse, source, places), source.key, lows, folder / source.called, mark)


def write_buckets(rows: Iterable[pa.Table], key: str, lows: Sequence[str], folder: Path, mark: str) -> None:
    """Append rows to one Arrow file a bucket; a key belongs to the last bucket whose least key is not above it."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as open_, connect() as connection:
        connection.register("lows", pa.table({"low": pa.array(lows, pa.string()), "bucket": range(1, len(lows) + 1)}))
        writers: dict[int, pa.RecordBatchFileWriter] = {}
        for found in _few_at_once(rows):
            connection.register("keyed", pa.table({"key": found[key], "place": range(found.num_rows)}))
            placed = connection.sql(
                "SELECT place, coalesce(bucket, 0) AS bucket FROM keyed ASOF LEFT JOIN lows ON keyed.key >= lows.low "
                "ORDER BY bucket, place"
            ).to_arrow_table()
            ordered = found.take(placed["place"])
            start = 0
            for end in pc.run_end_encode(placed["bucket"].combine_chunks()).run_ends.to_pylist():
                bucket = placed["bucket"][start].as_py()
                if bucket not in writers:
                    file = open_.enter_context(pa.OSFile(str(folder / f"{bucket}-{mark}.arrow"), "wb"))
                    writers[bucket] = open_.enter_context(pa.ipc.new_file(file, found.schema, options=_OPTIONS))
                writers[bucket].write_table(ordered.slice(start, end - start))
                start = end


def _few_at_once(rows: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Tables of some rows at most: what is taken of one has offsets of 32 bits."""
    for found in rows:
        yield from (found.slice(start, _MOST) for start in range(0, found.num_rows, _MOST))


@dataclass(frozen=True, slots=True)
class Shuffle:
    """Rows that an earlier step made of its own buckets, in buckets of another key.

    Attributes:
        name: under which a `Part` holds them.
        key: column of theirs.
        lows: least key of each bucket but the first.
        folder: of their files.
        schema: of the rows; other columns of what is added are dropped.
    """

    name: str
    key: str
    lows: tuple[str, ...]
    folder: Path
    schema: pa.Schema

    def add(self, mark: str, rows: Iterable[pa.Table]) -> None:
        """Add rows, in files with `mark`, by which no two tasks are alike, in their names."""
        selected = (found.select(self.schema.names).cast(self.schema) for found in rows)
        write_buckets(selected, self.key, self.lows, self.folder, mark)


def hexadecimal_bounds(number: int) -> tuple[str, ...]:
    """Least key of each bucket but the first, of keys that are hashes in hexadecimal digits."""
    return tuple(f"{place * 16**8 // number:08x}" for place in range(1, number))


def gather(folder: Path, bucket: int, none: pa.Table) -> pa.Table:
    """The rows of a bucket, after `none`, which has its columns."""
    paths = sorted(folder.glob(f"{bucket}-*.arrow"))
    return pa.concat_tables([none, *(pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in paths)])


def whole(warehouse: Warehouse, source: Source) -> pa.Table:
    """All rows of a source."""
    return pa.concat_tables(_read(warehouse, source, None))


def empty(warehouse: Warehouse, source: Source) -> pa.Table:
    """A source's columns, without rows."""
    return next(_read(warehouse, source, ()))


def _read(warehouse: Warehouse, source: Source, places: Sequence[int] | None) -> Iterator[pa.Table]:
    """The rows of a source, some `BATCH_BYTES` at a time; at least one table, which may be empty."""
    with connect() as connection:
        for rows in _stored(warehouse, source, places):
            if not source.sql:
                yield rows
            else:
                connection.register("rows", rows)
                yield connection.sql(source.sql).to_arrow_table()


def _stored(warehouse: Warehouse, source: Source, places: Sequence[int] | None) -> Iterator[pa.Table]:
    dataset = source.dataset(warehouse)
    names = list(source.columns or dataset.schema.names)
    yield dataset.schema.empty_table().select(names)
    if isinstance(dataset, pa.Table):
        yield from (pa.Table.from_batches([batch]) for batch in dataset.select(names).to_batches(_FEW))
        return
    fragments = _fragments(dataset)
    for place in range(len(fragments)) if places is None else places:
        fragment = fragments[place]
        width = _EXPANSION * max(1, _size(fragment) // max(1, fragment.metadata.num_rows))
        rows = min(_MOST, max(64, BATCH_BYTES // width))
        scanner = fragment.scanner(dataset.schema, columns=names, batch_size=rows, batch_readahead=1)
        yield from (pa.Table.from_batches([batch]) for batch in scanner.to_batches())


def _fragments(dataset: ds.Dataset | pa.Table) -> list[ds.Fragment]:
    """Data files in the order of their names; none of a table in memory."""
    found = [] if isinstance(dataset, pa.Table) else dataset.get_fragments()
    return sorted(found, key=lambda fragment: str(fragment.path))


def _size(fragment: ds.Fragment) -> int:
    """Bytes of a data file before compression."""
    found = fragment.metadata
    return sum(found.row_group(group).total_byte_size for group in range(found.num_row_groups))
