"""Tables in buckets: every row once, keys together, in as many files as memory asks for; and the folder of a task."""

import os
from pathlib import Path

import pyarrow as pa
import pytest
from helpers import put, shop
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_pipeline.config import KeyedConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.erasure.places import unfinished
from persona_pipeline.keyed import Part, Source, keyed_work, scratch_folder
from persona_pipeline.keyed.buckets import gather, hexadecimal_bounds, write_buckets
from persona_pipeline.keyed.task import SCRATCH
from persona_pipeline.warehouse import Warehouse, bounded_memory
from persona_pipeline.warehouse._differences import connect


@given(
    st.lists(st.text("abc\u00e9\U0001f3b8", max_size=3), max_size=20),
    st.lists(st.text("abc\u00e9", max_size=2), max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_a_key_belongs_to_the_last_bucket_that_begins_before_it(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str], lows: list[str]
) -> None:
    folder, bounds = tmp_path_factory.mktemp("b"), sorted(set(lows))
    rows = pa.table({"key": pa.array(keys, pa.string()), "n": pa.array(range(len(keys)), pa.int64())})
    write_buckets([rows.slice(0, 7), rows.slice(7)], "key", bounds, folder, "task")
    seen = []
    for bucket in range(len(bounds) + 1):
        found = gather(folder, bucket, rows.slice(0, 0))
        for key, n in zip(found["key"].to_pylist(), found["n"].to_pylist(), strict=True):
            assert sum(key >= low for low in bounds) == bucket
            seen.append(n)
    assert sorted(seen) == list(range(len(keys)))


def test_bounds_of_hashes_cut_them_alike() -> None:
    assert hexadecimal_bounds(1) == ()
    assert hexadecimal_bounds(4) == ("40000000", "80000000", "c0000000")


def parts(warehouse: Warehouse, sources: list[Source], bucket_bytes: int) -> list[dict[str, list[str]]]:
    """Ids that each bucket holds of each source."""

    def work(part: Part) -> dict[str, list[str]]:
        return {s.called: sorted(part.rows.dataset(s.called)[s.key].to_pylist()) for s in sources}

    with keyed_work(warehouse, KeyedConfig(bucket_bytes=bucket_bytes), "test") as keyed:
        return list(keyed.each(sources, work))


def test_sources_are_cut_at_the_same_keys(tmp_path: Path) -> None:
    warehouse, tables = Warehouse(tmp_path), shop()
    for table in ("reviews", "items", "item_reviews"):
        put(warehouse, table, tables[table])
    named = Source(
        "item_reviews",
        "item_id",
        ("item_id", "evidence"),
        "SELECT item_id, len(evidence) AS n FROM rows",
        name="counted",
    )
    sources = [Source("reviews", "item_id"), Source("items", "item_id"), named, Source("quarantine", "subject_id")]
    (whole,) = parts(warehouse, sources, 2**30)
    cut = parts(warehouse, sources, 2_000)
    assert len(cut) > 2
    for name, ids in whole.items():
        assert sorted(key for part in cut for key in part[name]) == ids
    items = [{key for ids in part.values() for key in ids} for part in cut]
    assert all(not one & other for place, one in enumerate(items) for other in items[:place])


def test_a_tasks_folder_goes_and_so_does_what_the_dead_left(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, "first") as first, scratch_folder(tmp_path, "first") as second:
        assert first != second
        assert first.is_dir()
        host = first.name.partition("@")[2].rpartition(".")[0]
    assert list((tmp_path / SCRATCH).iterdir()) == []
    dead, alive, elsewhere = (
        tmp_path / SCRATCH / f".t-1@{name}" for name in (f"{host}.4194305", f"{host}.{os.getpid()}", "far.4194305")
    )
    for folder in (dead, alive, elsewhere):
        folder.mkdir()
        (folder / "words.arrow").write_text("a person's")
    # Who erases people finds what is left there, wherever it ran.
    assert set(unfinished(tmp_path)) == {dead, elsewhere}
    with scratch_folder(tmp_path, "second"):
        assert (dead.exists(), alive.exists(), elsewhere.exists()) == (False, True, True)


def test_what_is_too_much_for_duckdb_is_told_by_its_setting(tmp_path: Path) -> None:
    with (
        pytest.raises(PipelineError, match=r"DuckDB could not do with 16 MB \(keyed.memory_bytes\)"),
        bounded_memory(16 << 20, tmp_path / "spill"),
        connect() as connection,
    ):
        connection.sql("SELECT list(range) FROM range(20_000_000)").fetchall()
    with connect() as connection:  # the task is over
        assert connection.sql("SELECT count(*) FROM (SELECT list(range) FROM range(2_000_000))").fetchall() == [(1,)]


def test_what_is_more_than_memory_is_spilled_into_the_folder_given(tmp_path: Path) -> None:
    with bounded_memory(64 << 20, tmp_path / "spill"), connect() as connection:
        found = connection.sql(
            "SELECT count(*) FROM (SELECT DISTINCT range, repeat('x', 20) FROM range(3_000_000))"
        ).fetchall()
        assert (tmp_path / "spill").is_dir()
    assert found == [(3_000_000,)]
