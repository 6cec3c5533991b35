"""One writer at a time: by claim, by version, and after a writer's death."""

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from helpers import Row, arrow

from persona_pipeline.core.errors import BusyError
from persona_pipeline.warehouse import Warehouse, delta_rs
from persona_pipeline.warehouse._differences import differences

HOLDER = """
import sys, time
from persona_pipeline.warehouse import Warehouse
with Warehouse(sys.argv[1], {"job": "other"}).lock("item_summaries"):
    print("held", flush=True)
    time.sleep(60)
"""


def summary(item: str, text: str = "A capo.") -> Row:
    return {
        "item_id": item,
        "summary": text,
        "summary_source": "metadata",
        "extraction_key": "k",
        "extractor_version": "v",
    }


def rows(*found: Row) -> pa.Table:
    return arrow("item_summaries", found)


def test_a_table_is_written_by_one_process_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, {"job": "mine"})
    warehouse.replace("item_summaries", rows(summary("capo")))
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        said = rf'item_summaries in .* is held by another process \({{"job": "other", "pid": {holder.pid}}}\)'
        for write in (warehouse.replace, warehouse.upsert):
            with pytest.raises(BusyError, match=said):
                write("item_summaries", rows(summary("tuner")))
        with pytest.raises(BusyError):
            warehouse.restore("item_summaries", 0)
        assert warehouse.read("item_summaries")["item_id"].to_pylist() == ["capo"]
        with warehouse.lock("item_reviews"):  # another table is free
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    warehouse.replace("item_summaries", rows(summary("tuner")))
    assert warehouse.read("item_summaries")["item_id"].to_pylist() == ["tuner"]


def test_delta_rs_alone_would_leave_the_rows_of_both(tmp_path: Path) -> None:
    """Why commits follow the version they were compared with: an overwrite on top of an append it did not know of."""
    path = str(tmp_path / "t")
    write_deltalake(path, pa.table({"k": ["old"]}))
    known = DeltaTable(path)
    write_deltalake(path, pa.table({"k": ["theirs"]}), mode="append")
    write_deltalake(known, pa.table({"k": ["ours"]}), mode="overwrite")
    assert sorted(DeltaTable(path).to_pyarrow_table()["k"].to_pylist()) == ["ours", "theirs"]


@pytest.mark.parametrize("theirs", ["append", "overwrite"])
@pytest.mark.parametrize("ours", [summary("capo", "Ours."), summary("ours")], ids=["update", "insert"])
def test_a_commit_nobody_knew_of_is_not_written_over(
    theirs: str, ours: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer that takes no claim, between our comparison and our commit."""
    warehouse = Warehouse(tmp_path)
    warehouse.replace("item_summaries", rows(summary("capo")))
    compare = differences

    def overtaken(*arguments: object, **options: bool) -> pa.Table:
        found = compare(*arguments, **options)  # type: ignore[arg-type]
        write_deltalake(warehouse.path("item_summaries"), rows(summary("theirs")), mode=theirs)  # type: ignore[call-overload]
        return found

    monkeypatch.setattr(delta_rs, "differences", overtaken)
    with pytest.raises(BusyError, match="table item_summaries: another process committed to it in the meantime"):
        warehouse.upsert("item_summaries", rows(ours))
    expected = ["capo", "theirs"] if theirs == "append" else ["theirs"]
    found = warehouse.read("item_summaries")
    assert found["item_id"].to_pylist() == expected
    assert "Ours." not in found["summary"].to_pylist()


def test_rows_decided_on_at_an_older_version_are_refused(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    warehouse.replace("item_summaries", rows(summary("capo")))
    base = warehouse.version("item_summaries")
    warehouse.upsert("item_summaries", rows(summary("tuner")), base)
    with pytest.raises(BusyError):
        warehouse.upsert("item_summaries", rows(summary("picks")), base)
    assert warehouse.read("item_summaries")["item_id"].to_pylist() == ["capo", "tuner"]
