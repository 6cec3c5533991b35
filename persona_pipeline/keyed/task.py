"""Run the functions of a stage over the buckets of its sources, and commit what they found different (`Keyed`)."""

import logging
import operator
import os
import platform
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from persona_pipeline.config import KeyedConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.progress import log_progress
from persona_pipeline.keyed import buckets
from persona_pipeline.keyed.buckets import Shuffle, Source
from persona_pipeline.keyed.engines import Engine, Local, each
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.changes import Change, change_of, change_to

logger = logging.getLogger(__name__)
Task = TypeVar("Task")
Done = TypeVar("Done")

SCRATCH = "_scratch"
"""Folder of a warehouse for what tasks keep on disk while they run."""


@dataclass(frozen=True)
class Part:
    """The rows of one bucket of keys.

    Attributes:
        number: of the bucket, from 0.
        rows: the warehouse, in which each source holds the rows of the bucket alone.
        scratch: folder for files that live as long as the task.
    """

    number: int
    rows: Warehouse
    scratch: Path

    def change_to(self, table: str, wanted: pa.Table) -> Change:
        """Write what differs between the rows that a table should hold of the bucket's keys, and its source of that name."""
        stored = self.rows.dataset(table)
        return change_to(Path(self.rows.path(table)), load_contract(table), wanted, stored, self._keys)

    def change_of(self, table: str, made: pa.Table, gone: pa.Table) -> Change:
        """Write rows that are new or differ, and the keys whose stored row goes, those of differing rows among them."""
        return change_of(Path(self.rows.path(table)), load_contract(table), made, gone, self._keys)

    def emptied(self) -> "Part":
        """The part without its rows, for a later step of the same bucket."""
        return Part(self.number, self.rows.without_rows(), self.scratch)

    @property
    def _keys(self) -> Path:
        return self.scratch / "gone"


@dataclass(frozen=True)
class Keyed:
    """What runs the functions of one task, and its scratch folder."""

    warehouse: Warehouse
    engine: Engine
    config: KeyedConfig
    scratch: Path

    def each(
        self,
        sources: Sequence[Source],
        work: Callable[[Part], Done],
        shuffle: Shuffle | None = None,
        bucket_bytes: int | None = None,
    ) -> Iterator[Done]:
        """Return `work(part)` of every bucket, in order of the buckets.

        Args:
            sources: the largest decides where buckets begin and end, unless `shuffle` does.
            work: of one bucket; what it returns is held, so it writes what is large.
            shuffle: rows of an earlier step; it must have ended.
            bucket_bytes: of stored data are a bucket, `config.bucket_bytes` where None.
        """
        if shuffle:
            lows = list(shuffle.lows)
        else:
            number = buckets.number_of_buckets(self.warehouse, sources, bucket_bytes or self.config.bucket_bytes)
            largest = max(sources, key=lambda source: source.stored_bytes(self.warehouse))
            lows = buckets.bounds(self.warehouse, largest, number) if number > 1 else []
        others = {shuffle.name: (shuffle.folder, shuffle.schema.empty_table())} if shuffle else {}
        if not lows:
            held = {source.called: buckets.whole(self.warehouse, source) for source in sources}
            held |= {name: buckets.gather(folder, 0, none) for name, (folder, none) in others.items()}
            yield work(Part(0, self.warehouse.holding(**held), self.scratch))
            return
        folder = self.folder()
        cuts = [
            partial(buckets.scatter, self.warehouse, source, places, lows, folder, str(task))
            for source in sources
            for task, places in enumerate(buckets.tasks(self.warehouse, source))
        ]
        for _ in self.over(cuts, operator.call):
            pass
        cut = {s.called: (folder / s.called, buckets.empty(self.warehouse, s)) for s in sources} | others
        load = partial(_load, self.warehouse, cut, self.scratch)
        found = self.engine.run(len(lows) + 1, load, work)
        for done, result in enumerate(found, 1):
            log_progress(logger, "%d of %d buckets", done, len(lows) + 1, done=done, of=len(lows) + 1)
            yield result
        shutil.rmtree(folder)

    def shuffle(self, name: str, schema: pa.Schema, key: str, sources: Sequence[Source]) -> Shuffle:
        """Make room for rows by a key of hexadecimal digits, made of these sources and about as many."""
        number = buckets.number_of_buckets(self.warehouse, sources, self.config.bucket_bytes)
        return Shuffle(name, key, buckets.hexadecimal_bounds(number), self.folder(), schema)

    def folder(self) -> Path:
        """A new folder that lives as long as the task."""
        return Path(mkdtemp(prefix="step-", dir=self.scratch))

    def query(
        self, sql: str, tables: Sequence[str], parameters: Mapping[str, Any] | None = None, **given: Any
    ) -> ds.Dataset:
        """Run `Warehouse.query` into a file of the task's scratch folder: nothing of the result is held."""
        path = self.folder() / "rows.parquet"
        with (
            self.warehouse.batches(sql, tables, parameters, **given) as found,
            pq.ParquetWriter(path, found.schema) as file,
        ):
            for batch in found:
                file.write_batch(batch)
        return ds.dataset(path)

    def over(self, tasks: Sequence[Task], work: Callable[[Task], Done]) -> Iterator[Done]:
        """Return `work(task)` of every task, in order: of files that an earlier step left, say."""
        return each(self.engine, tasks, work)


def _load(warehouse: Warehouse, cut: dict[str, tuple[Path, pa.Table]], scratch: Path, number: int) -> Part:
    held = {name: buckets.gather(folder, number, none) for name, (folder, none) in cut.items()}
    return Part(number, warehouse.holding(**held), scratch)


@contextmanager
def keyed_work(warehouse: Warehouse, config: KeyedConfig, task: str, engine: Engine | None = None) -> Iterator[Keyed]:
    """Open a task's scratch folder, which goes when the block ends; what killed processes left goes before it begins."""
    with scratch_folder(warehouse.root, task) as mine:
        yield Keyed(warehouse, engine or Local(), config, mine)


@contextmanager
def scratch_folder(root: Path, purpose: str) -> Iterator[Path]:
    """Make a folder beside the tables that goes when the block ends; first those go whose processes have ended."""
    place, host = root / SCRATCH, platform.node().replace("/", "_")
    for left in place.glob(f".*@{host}.*"):
        if not Path(f"/proc/{left.suffix[1:]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    # By its process's number, as all that is unfinished: by that erasure knows it.
    mine = place / f".{purpose}-{uuid.uuid4().hex[:8]}@{host}.{os.getpid()}"
    mine.mkdir(parents=True)
    try:
        yield mine
    finally:
        shutil.rmtree(mine, ignore_errors=True)
