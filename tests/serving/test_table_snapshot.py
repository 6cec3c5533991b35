"""A row by its value: found whatever the layout, and little else read where the layout allows."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import WriterProperties, write_deltalake

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.serving.table_snapshot import TableSnapshot

USERS = [f"u{n:03d}" for n in range(400)]


def write(folder: Path, users: list[str]) -> None:
    rows = pa.table({"user_id": users, "n": list(range(len(users))), "part": [int(user[1:]) % 2 for user in users]})
    properties = WriterProperties(max_row_group_size=50)
    write_deltalake(str(folder), rows, mode="overwrite", partition_by=["part"], writer_properties=properties)


@pytest.mark.parametrize(
    "users", [USERS, USERS[::-1], USERS[1::2] + USERS[::2] * 2], ids=["sorted", "reversed", "mixed"]
)
def test_every_row_is_found_wherever_it_is(tmp_path: Path, users: list[str]) -> None:
    write(tmp_path / "t", users)
    table = TableSnapshot(tmp_path / "t")
    for user in (users[0], users[-1], "u123"):
        expected = [n for n, other in enumerate(users) if other == user]
        assert sorted(table.rows("user_id", [user], ["n"])["n"].to_pylist()) == expected
    assert table.rows("user_id", ["u001", "u002", "nobody"], ["user_id"]).num_rows == users.count("u001") + users.count(
        "u002"
    )
    assert table.rows("user_id", ["nobody"]).schema.names == ["user_id", "n"]
    assert table.read(["n"]).num_rows == len(users)


def test_only_what_may_hold_the_row_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "t", USERS)
    read: list[int] = []
    read_group = pq.ParquetFile.read_row_group

    def counting(file: pq.ParquetFile, group: int, *args: Any, **kwargs: Any) -> pa.Table:
        read.append(group)
        return read_group(file, group, *args, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    found = TableSnapshot(tmp_path / "t").rows("user_id", ["u123"], ["n"], {"part": 1})
    assert found.to_pydict() == {"n": [123]}
    assert read == [1]  # of the four of its partition


def test_a_version_stays_after_later_ones(tmp_path: Path) -> None:
    write(tmp_path / "t", USERS[:10])
    first = TableSnapshot(tmp_path / "t", 0)
    write(tmp_path / "t", USERS[10:20])
    assert (
        first.rows("user_id", ["u005"]).num_rows
        == TableSnapshot(tmp_path / "t", 0).rows("user_id", ["u005"]).num_rows
        == 1
    )
    assert TableSnapshot(tmp_path / "t").rows("user_id", ["u005"]).num_rows == 0


def test_a_version_that_is_not_there_is_told(tmp_path: Path) -> None:
    write(tmp_path / "t", USERS[:10])
    with pytest.raises(PipelineError, match="table t: version 7 cannot be opened"):
        TableSnapshot(tmp_path / "t", 7)
