"""Differences of a table, part by part: whatever the parts, what is stored equals a dict; and who comes second is told."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import arrow
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import BusyError
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.changes import Change, change_to

TABLE = "item_summaries"
CONTRACT = load_contract(TABLE)


def rows(told: dict[str, str]) -> pa.Table:
    fixed = {"summary_source": "metadata", "extraction_key": "k", "extractor_version": "v"}
    return arrow(TABLE, [{"item_id": item, "summary": text, **fixed} for item, text in told.items()])


def changes(warehouse: Warehouse, wanted: dict[str, str], parts: int, scratch: Path) -> list[Change]:
    """What differs, found part by part: items by their last digit."""
    stored = warehouse.read(TABLE)

    def part_of(found: pa.Table, part: int) -> pa.Table:
        return found.filter(
            pa.array([int(item[-1]) % parts == part for item in found["item_id"].to_pylist()], pa.bool_())
        )

    folder, told = Path(warehouse.path(TABLE)), rows(wanted)
    return [
        change_to(folder, CONTRACT, part_of(told, part), part_of(stored, part), scratch / str(part))
        for part in range(parts)
    ]


def commit(warehouse: Warehouse, wanted: dict[str, str], parts: int, scratch: Path) -> tuple[int, int, int]:
    base = warehouse.version(TABLE)
    done = warehouse.commit_changes(TABLE, changes(warehouse, wanted, parts, scratch), base)
    return done.inserted, done.updated, done.deleted


def content(warehouse: Warehouse) -> dict[str, str]:
    found = warehouse.read(TABLE)
    return dict(zip(found["item_id"].to_pylist(), found["summary"].to_pylist(), strict=True))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "wh")


@given(
    st.lists(
        st.dictionaries(st.integers(0, 9).map(str), st.text("xy", max_size=2), max_size=8), min_size=1, max_size=4
    ),
    st.integers(1, 3),
)
@settings(max_examples=30, deadline=None)
def test_any_sequence_of_writes_in_any_parts_equals_a_dict(
    tmp_path_factory: pytest.TempPathFactory, nights: list[dict[str, str]], parts: int
) -> None:
    warehouse, before = Warehouse(tmp_path_factory.mktemp("wh")), dict[str, str]()
    for number, wanted in enumerate(nights):
        version = warehouse.version(TABLE)
        counts = commit(warehouse, wanted, parts, warehouse.root / "_scratch" / str(number))
        assert content(warehouse) == wanted
        both = before.keys() & wanted.keys()
        changed = sum(before[item] != wanted[item] for item in both)
        assert counts == (len(wanted.keys() - both), changed, len(before.keys() - both))
        if not any(counts) and version is not None:
            assert warehouse.version(TABLE) == version
        before = wanted
    assert warehouse.version(TABLE) is not None


def test_files_of_which_nothing_changes_are_left_and_those_of_which_nothing_stays_only_removed(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):  # a file each
        commit(warehouse, {f"{m}": "said" for m in range(2 * n + 2)}, 1, tmp_path / f"{n}")
    first = warehouse.files(TABLE)
    assert len(first) == 3
    told = {f"{m}": "said" for m in range(6)}
    del told["0"], told["1"]  # a whole file
    told["2"] = "other"  # half of one
    written: list[int] = []
    write_table = pq.write_table

    def watched(found: pa.Table, *args: Any, **options: Any) -> None:
        written.append(found.num_rows)
        write_table(found, *args, **options)

    monkeypatch.setattr(pq, "write_table", watched)
    assert commit(warehouse, told, 1, tmp_path / "later") == (0, 1, 2)
    assert content(warehouse) == told
    assert len(warehouse.files(TABLE) & first) == 1
    assert sorted(written) == [1, 1, 3]  # the row that differs, the one beside its former self, and the keys that go
    assert warehouse.row_count(TABLE, warehouse.version(TABLE) or 0) == 4


def test_who_compared_with_an_earlier_version_is_told(warehouse: Warehouse, tmp_path: Path) -> None:
    commit(warehouse, {"1": "a"}, 1, tmp_path / "1")
    base = warehouse.version(TABLE)
    mine = changes(warehouse, {"1": "b"}, 1, tmp_path / "2")
    warehouse.replace(TABLE, rows({"1": "c"}))
    with pytest.raises(BusyError, match="another process committed"):
        warehouse.commit_changes(TABLE, mine, base)
    assert content(warehouse) == {"1": "c"}
    with pytest.raises(BusyError, match="another process committed"):
        warehouse.commit_changes(TABLE, mine, None)


def test_what_nobody_committed_belongs_to_no_version(warehouse: Warehouse, tmp_path: Path) -> None:
    commit(warehouse, {"1": "a"}, 1, tmp_path / "1")
    changes(warehouse, {"2": "b"}, 1, tmp_path / "2")
    assert content(warehouse) == {"1": "a"}
    lying = set(Path(warehouse.path(TABLE)).glob("*.parquet"))
    assert len(lying - warehouse.files(TABLE)) == 1
