"""Convert warehouses that earlier versions made: steps in order, each of which says what it finds and then does it.

A change of what lies in a warehouse appends a step and raises `LAYOUT`. Columns that a contract gained need none: they are
found by comparing, and `BEFORE` says what a row from before holds where null is not allowed (`warehouse._earlier`).

Each step is whole or not there at all, and finds nothing once it was done. So a conversion that was killed is gone on with by
running it again, and what is read at the versions that releases name stays as it was.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.core.terminal import counted
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.model_registry.overrides import BEFORE as ORDERS
from persona_pipeline.model_registry.overrides import TABLE as OVERRIDES
from persona_pipeline.model_registry.overrides import pinned, read_overrides
from persona_pipeline.publish.publication import PUBLICATION
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.runs.opening import RUNNER, require_idle
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse._earlier import LAYOUT, layout, note_layout

ASIDE = "_set_aside"
"""Folder of a warehouse for what nothing reads any more."""
DEAD = ("_summaries", "done.json", "_text_embeddings.lock", "_shards")
"""What jobs counted, which of them stood, locks, and shards: `runs`, `task_runs`, `_claims` and `extraction_plan` have them now."""


@dataclass(frozen=True, slots=True)
class Step:
    """One conversion: `found` says in words what there is to do, nothing once it was done, and `apply` does it."""

    name: str
    found: Callable[[Warehouse], list[str]]
    apply: Callable[[Warehouse], None]


def migrate(root: Path, console: Console, dry_run: bool = False) -> None:
    """Convert a warehouse to the layout of this code, or with `dry_run` say what would be done.

    Raises PipelineError where there is no warehouse, or a later version made it; BusyError while a run goes on.
    """
    if not any(root.glob("*/_delta_log")):
        raise PipelineError(f"there is no warehouse at {root}: no folder in it is a table")
    warehouse, noted = Warehouse(root, {"job": "migrate"}), layout(root)
    console.print(f"{root}: layout {noted or 'not noted'}; this version writes {LAYOUT}", markup=False, soft_wrap=True)
    with ExitStack() as locks:
        for name in () if dry_run else (RUNNER, "opening", PUBLICATION):
            locks.enter_context(warehouse.lock(name))
        pending = noted != LAYOUT
        for step in STEPS:
            found = step.found(warehouse)
            for told in found:
                console.print(f"  {step.name}: {told}", markup=False, soft_wrap=True)
            if found and not dry_run:
                require_idle(warehouse)
                step.apply(warehouse)
            pending = pending or bool(found)
        if pending and not dry_run:
            note_layout(root)
    for told in _unobeyable(warehouse):
        console.print(f"  to be decided: {told}", markup=False, soft_wrap=True)
    done = "would be converted" if dry_run else "converted"
    console.print(f"{done} to layout {LAYOUT}" if pending else "up to date, nothing to do")


def _unobeyable(warehouse: Warehouse) -> list[str]:
    """What only a person can decide: a pin of an encoder that this version cannot serve."""
    pin = pinned(read_overrides(warehouse))
    rows = warehouse.read("encoders", ["encoder_id", "text_version"]).to_pylist()
    return [
        f"encoder {row['encoder_id']} is {pin.told()}, but was trained on texts of version {row['text_version']}, and this version "
        f"renders {TEXT_VERSION}: nights fail until `persona-pipeline encoders pin --off` ends that, and then train another"
        for row in rows
        if pin and row["encoder_id"] == pin.encoder_id and row["text_version"] != TEXT_VERSION
    ]


def _places(warehouse: Warehouse) -> Iterator[tuple[str, Warehouse, str]]:
    """Every table there is a contract for, candidates' too: as it is told, where it is, its name."""
    for place, before in ((warehouse, ""), (staged_tables(warehouse), "_candidates/")):
        for table in table_names():
            if place.exists(table):
                yield before + table, place, table


def _lacking(warehouse: Warehouse) -> list[str]:
    found = []
    for told, place, table in _places(warehouse):
        if missing := place.lacking(table):
            found.append(f"{told} lacks {', '.join(missing)}")
        if kept := place.given_up(table):
            found.append(f"{told} has {', '.join(kept)}, no longer kept")
    return found


def _add_columns(warehouse: Warehouse) -> None:
    for _, place, table in _places(warehouse):
        if place.lacking(table) or place.given_up(table):
            place.add_columns(table)


def _orders(warehouse: Warehouse) -> list[str]:
    if not (warehouse.root / ORDERS).exists():
        return []
    return [f"{counted(len(read_overrides(warehouse)), 'order')} of {ORDERS} to be rows of {OVERRIDES}"]


def _write_overrides(warehouse: Warehouse) -> None:
    """The table is whole with one commit; what it has already is what the file has, and more."""
    with warehouse.lock("overrides"):
        rows = [{"number": number, **one.model_dump()} for number, one in enumerate(read_overrides(warehouse))]
        warehouse.upsert(OVERRIDES, pa.Table.from_pylist(rows, load_contract(OVERRIDES).arrow_schema()))
    _set_aside(warehouse.root, ORDERS)


def _repeated(warehouse: Warehouse) -> list[str]:
    told = []
    for table in table_names("cache"):
        key = ", ".join(load_contract(table).key)
        sql = f"SELECT (SELECT count(*) FROM {table}) - count(*) AS n FROM (SELECT DISTINCT {key} FROM {table})"
        if number := warehouse.query(sql, [table])["n"][0].as_py():
            told.append(f"{table} has {counted(number, 'row')} that say the same again")
    return told


def _drop_repeated(warehouse: Warehouse) -> None:
    for table in table_names("cache"):
        if warehouse.exists(table):
            warehouse.drop_duplicates(table)


def _dead(warehouse: Warehouse) -> Iterator[Path]:
    """What nothing reads any more, relative to the warehouse."""
    yield from (Path(name) for name in DEAD if (warehouse.root / name).exists())


def _leftovers(warehouse: Warehouse) -> list[str]:
    return [f"{path} is of no use any more, to be moved to {ASIDE}" for path in _dead(warehouse)]


def _move_leftovers(warehouse: Warehouse) -> None:
    for path in list(_dead(warehouse)):
        _set_aside(warehouse.root, path)


def _set_aside(root: Path, path: Path) -> None:
    """Move, never over what was moved before."""
    target, number = root / ASIDE / path, 1
    while target.exists():
        target, number = (root / ASIDE / path).with_name(f"{path.name}.{number}"), number + 1
    target.parent.mkdir(parents=True, exist_ok=True)
    (root / path).rename(target)


STEPS = (
    Step("columns", _lacking, _add_columns),
    Step("overrides", _orders, _write_overrides),
    Step("caches", _repeated, _drop_repeated),
    Step("leftovers", _leftovers, _move_leftovers),
)
