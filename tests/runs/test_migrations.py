"""Warehouses that earlier versions made: what they say, converted or not, and what can be done with them from then on."""

import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable, Field, write_deltalake
from deltalake.schema import PrimitiveType
from night_jobs import run_night
from rich.console import Console

from persona_pipeline.config import load_config
from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.core.errors import BusyError, PipelineError
from persona_pipeline.model_registry.overrides import BEFORE, give_override, pinned, read_overrides
from persona_pipeline.publish.releases import published, read_parent, read_released, release_rows, served
from persona_pipeline.publish.rollback import roll_back
from persona_pipeline.runs import migrations
from persona_pipeline.runs.log import run_row
from persona_pipeline.runs.migrations import migrate
from persona_pipeline.runs.opening import Input, close_run, open_run
from persona_pipeline.serving import Recommendations
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse._earlier import note_layout

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[2]
MADE = ROOT / "tests" / "fixtures" / "warehouses"
LATEST, OLDEST = "050d972", "c13f505"
each = pytest.mark.parametrize("version", [LATEST, OLDEST])


def unpack(version: str, home: Path) -> Warehouse:
    """A warehouse that the commit `version` made; its input and configuration lie beside it in `home`."""
    with tarfile.open(MADE / f"{version}.tar.xz") as packed:
        packed.extractall(home, filter="data")
    return Warehouse(home / "warehouse")


def converted(warehouse: Warehouse, dry_run: bool = False) -> str:
    """What `persona-pipeline migrate` says."""
    said = StringIO()
    migrate(warehouse.root, Console(file=said, width=200), dry_run)
    return said.getvalue()


def answers(root: Path) -> dict[str, Any]:
    """What a reader is told, by user."""
    reader = Recommendations(root)
    users = sorted(set(read_released(Warehouse(root), "user_item_topk")["user_id"].to_pylist()))
    told = {}
    for user in users:
        rows = reader.top(user)
        items = [row.item_id for row in rows]
        told[user] = (rows, reader.why(user, items[0]), reader.score(user, items).tolist())
    return told


def released(warehouse: Warehouse) -> dict[str, Any]:
    """Every row of every table of every published release."""
    return {
        f"{release.release_id} {table}": read_released(warehouse, table, release).to_pylist()
        for release in published(warehouse)
        for table in release.versions
    }


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "_claims" not in path.parts
    }


def newest(warehouse: Warehouse) -> dict[str, Any]:
    """Every row of the newest versions, and what is in force."""
    rows = {table: warehouse.read(table).to_pylist() for table in table_names() if warehouse.exists(table)}
    return rows | {"pin": pinned(read_overrides(warehouse))}


@each
def test_readers_are_told_the_same_before_and_after(version: str, tmp_path: Path) -> None:
    warehouse = unpack(version, tmp_path)
    rows, told, tables = release_rows(warehouse), answers(warehouse.root), released(warehouse)
    assert [row["verdict"] for row in rows] == ["published", "published", "rolled_back"]
    assert len(told) > 10
    converted(warehouse)
    assert release_rows(warehouse) == rows
    assert answers(warehouse.root) == told
    assert released(warehouse) == tables


@each
def test_a_night_inherits_what_the_last_release_left(version: str, tmp_path: Path) -> None:
    warehouse = unpack(version, tmp_path)
    for _ in range(2):
        personas = read_parent(warehouse, "item_personas", served(warehouse))
        assert personas.schema == load_contract("item_personas").arrow_schema()
        assert personas["persona_id"].null_count == personas["stance"].null_count == 0
        converted(warehouse)


@each
def test_it_is_said_first_done_once_and_then_there_is_nothing_to_do(version: str, tmp_path: Path) -> None:
    warehouse = unpack(version, tmp_path)
    before = files(warehouse.root)
    planned = converted(warehouse, dry_run=True)
    assert files(warehouse.root) == before
    assert "2 orders of _artefacts/encoders/orders.json to be rows of encoder_overrides" in planned
    assert ("item_reviews lacks evidence.title" in planned) == (version == OLDEST)
    done = converted(warehouse)
    assert done.replace("\nconverted to", "\nwould be converted to") == planned
    after = files(warehouse.root)
    assert after != before
    assert converted(warehouse).endswith("up to date, nothing to do\n")
    assert files(warehouse.root) == after


def test_what_was_lacking_is_there(tmp_path: Path) -> None:
    warehouse = unpack(OLDEST, tmp_path)
    before = newest(warehouse)
    assert warehouse.lacking("item_personas") == ["stance", "topic", "request_key"]
    converted(warehouse)
    for table in set(table_names()) & set(warehouse.versions()):
        assert warehouse.lacking(table) == []
        stored = {field.name: field.nullable for field in DeltaTable(warehouse.path(table)).schema().fields}
        assert stored == {column.name: column.nullable for column in load_contract(table).columns}
    assert {row["stance"] for row in before["item_personas"]} == {"likes"}
    assert newest(warehouse) == {**before, "encoder_overrides": warehouse.read("encoder_overrides").to_pylist()}


def test_a_table_that_only_gained_columns_that_may_be_null_names_its_old_files(tmp_path: Path) -> None:
    warehouse = unpack(LATEST, tmp_path)
    stored = warehouse.read("items")
    rows, bare = stored.to_pylist(), stored.drop_columns(["creator"])
    write_deltalake(warehouse.path("items"), bare, mode="overwrite", schema_mode="overwrite")
    old = warehouse.files("items")
    assert "items lacks creator" in converted(warehouse)
    assert warehouse.files("items") == old
    assert warehouse.read("items").to_pylist() == [{**row, "creator": None} for row in rows]


@each
def test_what_people_decided_is_rows_now(version: str, tmp_path: Path) -> None:
    warehouse = unpack(version, tmp_path)
    before = read_overrides(warehouse)
    assert [override.override for override in before] == ["promote", "pin"]
    converted(warehouse)
    assert read_overrides(warehouse) == before
    assert warehouse.read("encoder_overrides").num_rows == 2
    assert not (warehouse.root / BEFORE).exists()
    assert (warehouse.root / migrations.ASIDE / BEFORE).is_file()


def test_orders_that_cannot_be_read_are_left_as_they_are(tmp_path: Path) -> None:
    warehouse = unpack(LATEST, tmp_path)
    (warehouse.root / BEFORE).write_text('[{"order": "pin"}]')
    with pytest.raises(PipelineError, match=r"orders\.json: cannot be read as a list of orders"):
        converted(warehouse)
    assert (warehouse.root / BEFORE).is_file()
    assert not warehouse.exists("encoder_overrides")


def test_leftovers_are_set_aside_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    warehouse = unpack(LATEST, tmp_path)
    root = warehouse.root
    (root / "_shards").mkdir()
    (root / "_shards" / "2025-05-25.parquet").write_bytes(b"")
    assert (root / "_summaries").is_dir()
    assert (root / "done.json").is_file()
    converted(warehouse)
    left = {path.name for path in root.iterdir()} - set(table_names())
    assert left == {"_artefacts", "_candidates", "_claims", "_layout.json", migrations.ASIDE}
    # An older version has run again meanwhile: what was moved before stays.
    (root / "done.json").write_text("{}")
    converted(warehouse)
    assert {path.name for path in (root / migrations.ASIDE).glob("done*")} == {"done.json", "done.json.1"}


def test_a_cache_has_each_key_once(tmp_path: Path) -> None:
    warehouse = unpack(LATEST, tmp_path)
    rows = warehouse.read("text_embeddings")
    warehouse.append("text_embeddings", rows.slice(0, 3))
    assert "text_embeddings has 3 rows that say the same again" in converted(warehouse)
    assert warehouse.read("text_embeddings").equals(rows)


class BrokenOffError(BaseException):
    pass


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Break off at the `at`th change of the warehouse: with even ones just before it, with odd ones just after."""
    passed = 0

    def breaking(change: Callable[..., Any]) -> Callable[..., Any]:
        def change_or_break(*args: Any, **kwargs: Any) -> Any:
            nonlocal passed
            passed += 2
            if passed - 2 == at:
                raise BrokenOffError
            result = change(*args, **kwargs)
            if passed - 1 == at:
                raise BrokenOffError
            return result

        return change_or_break

    for name in ("add_columns", "upsert", "drop_duplicates"):
        monkeypatch.setattr(Warehouse, name, breaking(getattr(Warehouse, name)))
    monkeypatch.setattr(Path, "rename", breaking(Path.rename))
    monkeypatch.setattr(migrations, "note_layout", breaking(note_layout))


@pytest.mark.slow
def test_broken_off_anywhere_it_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack(OLDEST, tmp_path / "old")
    whole = Warehouse(shutil.copytree(tmp_path / "old", tmp_path / "whole") / "warehouse")
    converted(whole)
    wanted, aside = newest(whole), files(whole.root / migrations.ASIDE)
    broken = 0
    while True:
        warehouse = Warehouse(shutil.copytree(tmp_path / "old", tmp_path / str(broken)) / "warehouse")
        with monkeypatch.context() as patched:
            interrupted(patched, broken)
            try:
                converted(warehouse)
                break
            except BrokenOffError:
                broken += 1
        assert warehouse.read("item_personas").to_pylist() == wanted["item_personas"]  # in between, too
        converted(warehouse)
        assert newest(warehouse) == wanted
        assert files(warehouse.root / migrations.ASIDE) == aside
    found = converted(unpack(OLDEST, tmp_path / "once more"), dry_run=True)
    tables = set(re.findall(r"columns: (\S+) ", found))
    assert {"item_personas", "item_reviews", "review_aspects", "releases", "rejected_reviews"} <= tables
    assert broken == 2 * (len(tables) + 6)  # and 1 table of overrides, 4 moved, the note


def test_killed_between_two_tables_it_is_gone_on_with(tmp_path: Path) -> None:
    warehouse = unpack(OLDEST, tmp_path)
    killing = """
import os, signal, sys
from pathlib import Path
from rich.console import Console
from persona_pipeline.runs.migrations import migrate
from persona_pipeline.warehouse import Warehouse
add_columns = Warehouse.add_columns
def once(self, table):
    add_columns(self, table)
    os.kill(os.getpid(), signal.SIGKILL)
Warehouse.add_columns = once
migrate(Path(sys.argv[1]), Console())
"""
    done = subprocess.run([sys.executable, "-c", killing, str(warehouse.root)], check=False, cwd=ROOT)
    assert done.returncode == -9
    assert [table for table in ("item_personas", "item_reviews", "review_aspects") if warehouse.lacking(table)] == [
        "item_reviews",
        "review_aspects",
    ]
    converted(warehouse)
    assert converted(warehouse).endswith("up to date, nothing to do\n")


def test_a_night_on_one_that_lacks_columns_says_what_to_do_before_it_begins(tmp_path: Path) -> None:
    warehouse = unpack(OLDEST, tmp_path)
    before = files(warehouse.root)
    command = [sys.executable, "-m", "jobs.runs", "--warehouse", str(warehouse.root), "--as-of", "2025-06-10"]
    command += ["--source", "jsonl", "--reviews", str(tmp_path / "input" / "reviews.jsonl.gz")]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 65
    assert "an earlier version of persona-pipeline wrote it. Run `persona-pipeline migrate --warehouse " in done.stderr
    assert files(warehouse.root) == before
    for write in (warehouse.replace, warehouse.upsert):
        with pytest.raises(PipelineError, match="persona-pipeline migrate"):
            write("item_personas", warehouse.read("item_personas"))


def test_a_night_may_begin_before_orders_are_rows(tmp_path: Path) -> None:
    """Where only columns were lacking, and were added, what else an earlier version left is read as it is."""
    warehouse = unpack(LATEST, tmp_path)
    for _ in range(20):
        try:
            run_id = open_run(warehouse.root, date(2025, 6, 10), load_config("local"), Input())
            break
        except PipelineError as error:
            found = re.match(r"table (\w+) (lacks|has) .*persona-pipeline migrate", str(error))
            assert found
            warehouse.add_columns(found[1])
    row = run_row(warehouse, run_id)
    assert row["parent_release_id"] == served(warehouse).release_id  # type: ignore[union-attr]
    assert [override["override"] for override in row["overrides"]] == ["promote", "pin"]
    # Nor is it said to be converted: there is something to do.
    assert "orders" in converted(warehouse, dry_run=True)
    with pytest.raises(BusyError, match=rf"run {run_id} is open .* runs close {run_id}"):
        converted(warehouse)
    close_run(warehouse, run_id, "ended", None)
    converted(warehouse)


def test_a_new_warehouse_is_noted_to_have_the_layout(tmp_path: Path) -> None:
    open_run(tmp_path, date(2025, 6, 10), load_config("local"), Input())
    assert converted(Warehouse(tmp_path)).endswith("up to date, nothing to do\n")


def test_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="there is no warehouse at"):
        converted(Warehouse(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("use", [Warehouse, Recommendations, lambda root: migrate(root, Console(quiet=True))])
def test_a_later_layout_is_refused(tmp_path: Path, use: Callable[[Path], Any]) -> None:
    root = unpack(LATEST, tmp_path).root
    (root / "_layout.json").write_text('{"layout": 99}')
    before = files(root)
    with pytest.raises(PipelineError, match=r"has layout 99, by a later version of persona-pipeline"):
        use(root)
    assert files(root) == before


def test_a_column_that_is_not_known_is_refused(tmp_path: Path) -> None:
    warehouse = unpack(OLDEST, tmp_path)
    DeltaTable(warehouse.path("items")).alter.add_columns([Field("colour", PrimitiveType("string"))])
    before = files(warehouse.root)
    night = (warehouse.root, date(2025, 6, 10), load_config("local"), Input())
    for refused in (partial(converted, warehouse), partial(open_run, *night)):
        with pytest.raises(PipelineError, match=r"table items has colour, which this version .* does not know"):
            refused()
    assert files(warehouse.root) == before
    assert answers(warehouse.root)  # what is asked for is still there


def test_a_pin_that_cannot_be_obeyed_is_told(tmp_path: Path) -> None:
    assert "to be decided" not in converted(unpack(LATEST, tmp_path / "new"))
    warehouse = unpack(OLDEST, tmp_path / "old")
    for _ in range(2):  # as long as it stands
        assert "trained on texts of version 2" in converted(warehouse)
    give_override(warehouse, "unpin", "", None, datetime.now(UTC))
    assert "to be decided" not in converted(warehouse)


@pytest.mark.slow
@each
def test_a_further_night_goes_on_from_the_old_release(version: str, tmp_path: Path, spark: "SparkSession") -> None:
    warehouse = unpack(version, tmp_path)
    converted(warehouse)
    parent, told, rows = served(warehouse), answers(warehouse.root), release_rows(warehouse)
    assert parent is not None
    if version == OLDEST:  # its encoders read texts otherwise
        give_override(warehouse, "unpin", "", None, datetime.now(UTC))
    world, config = tmp_path / "input", tmp_path / "second.yaml"
    as_of = parent.as_of + timedelta(days=10)
    done = run_night(warehouse.root, as_of, world / "reviews.jsonl.gz", world / "items.jsonl.gz", config)
    assert done["releases"]["verdict"] == "published"
    assert done["releases"]["parent_release_id"] == parent.release_id
    tonight = served(warehouse)
    assert tonight is not None
    assert tonight.as_of == as_of
    personas = [
        set(read_released(warehouse, "item_personas", release, "status = 'current'")["persona_id"].to_pylist())
        for release in (parent, tonight)
    ]
    if version == LATEST:
        assert personas[0] <= personas[1]
        assert done["encoders"]["trained"] is False
        assert tonight.encoder_id == pinned(read_overrides(warehouse)).encoder_id  # type: ignore[union-attr]
        assert tonight.encoder_id != parent.encoder_id
    else:
        # They are told otherwise since, and under a stance: an id is kept or retired, and none is lost.
        every = set(read_released(warehouse, "item_personas", tonight)["persona_id"].to_pylist())
        assert personas[0] <= every
        assert done["encoders"]["trained"] is True
    assert [row for row in release_rows(warehouse) if row["release_id"] != tonight.release_id] == rows
    roll_back(warehouse, parent.release_id, "tests", None)
    assert served(warehouse) == parent
    assert answers(warehouse.root) == told
