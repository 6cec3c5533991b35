"""Read and complete tables as earlier versions of the pipeline left them: what they lack of their contract, and what fills it.

A version that a release names never changes, so what was added to a contract since is filled in whenever it is read. What
is written has the whole contract: a table that lacks some of it is first given it, by `persona-pipeline migrate`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake

from persona_pipeline.contracts import Column, Contract
from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.warehouse._delta import delta_field

LAYOUT = 3
"""Version of the layout of a warehouse that this code writes; 1 is all there was before `runs`. `migrations` leads here."""

GIVEN_UP: Mapping[str, frozenset[str]] = {
    # Of a line that was refused, nothing but the offending field is kept.
    "rejected_reviews": frozenset({"text"}),
}
"""By table: columns of text that contracts had and that are no longer kept."""

_NOTE = "_layout.json"

BEFORE: Mapping[tuple[str, str], Any] = {
    # Every item was recommended, until something could say otherwise.
    ("items", "available"): True,
    # Whoever had a persona was a reason to recommend, until there were stances.
    ("item_personas", "stance"): "likes",
    # A line held one record.
    ("rejected_reviews", "part"): 0,
    ("rejected_candidates", "part"): 0,
    # What was sent was not kept.
    ("llm_calls", "system"): "",
    ("llm_calls", "prompt"): "",
    ("llm_calls", "review_ids"): [],
    # Every pair was of a review.
    ("training_pairs", "weight"): 1.0,
}
"""By table and column: what rows from before a column say in it, where null is not allowed; else they say null."""

FORMER: Mapping[tuple[str, str], str] = {
    # Until there were events every interaction was a review.
    ("training_pairs", "interaction_id"): "review_id",
    ("training_pairs", "history_interaction_ids"): "history_review_ids",
}
"""By table and column: the name under which earlier versions stored the same."""


def layout(root: Path) -> int | None:
    """Layout that the warehouse says it has; None where it says nothing: it is new, or by code that noted none.

    Raises PipelineError for one that this code does not know.
    """
    path = root / _NOTE
    if not path.is_file():
        return None
    try:
        found = int(json.loads(path.read_text(encoding="utf-8"))["layout"])
    except (ValueError, KeyError, TypeError) as error:
        raise PipelineError(f'{path}: expected {{"layout": a number}}, but: {error!r}') from error
    if found > LAYOUT:
        raise PipelineError(
            f"the warehouse {root} has layout {found}, by a later version of persona-pipeline; this version reads and writes "
            f"up to layout {LAYOUT}. Use that version, or a later one"
        )
    return found


def note_layout(root: Path) -> None:
    """Say that the warehouse has the layout of this code."""
    with atomic_file(root / _NOTE) as partial:
        partial.write_text(json.dumps({"layout": LAYOUT}) + "\n", encoding="utf-8")


def lacking(contract: Contract, stored: pa.Schema) -> list[str]:
    """Columns of the contract that a table lacks, and fields of their structs as `column.field`."""
    return _without(contract.arrow_schema(), stored)


def schema_of(table: DeltaTable) -> pa.Schema:
    """Arrow schema of a table as it is stored."""
    return pa.schema(table.schema().to_arrow())


def lacking_only(contract: Contract, table: DeltaTable) -> list[str]:
    """What a table lacks of its contract. Raises PipelineError for one that has what the contract does not name."""
    stored = schema_of(table)
    former = {name for (named, _), name in FORMER.items() if named == contract.table}
    known = former | GIVEN_UP.get(contract.table, frozenset())
    if strangers := [name for name in _without(stored, contract.arrow_schema()) if name not in known]:
        raise PipelineError(
            f"table {contract.table} has {', '.join(strangers)}, which this version of persona-pipeline does not know: a later one "
            "wrote it. Use that version, or a later one"
        )
    return lacking(contract, stored)


def given_up(contract: Contract, table: DeltaTable) -> list[str]:
    """Columns that a table has and that are no longer kept."""
    return sorted(GIVEN_UP.get(contract.table, frozenset()) & set(schema_of(table).names))


def with_earlier_columns(contract: Contract) -> Contract:
    """The contract with what files of earlier versions have too: columns of another name, and those no longer kept."""
    columns = {column.name: column for column in contract.columns}
    former = [
        columns[name].model_copy(update={"name": old})
        for (table, name), old in FORMER.items()
        if table == contract.table and old not in columns
    ]
    gone = [
        Column(name=name, type="string", nullable=True, subject="record", description="No longer kept")
        for name in sorted(GIVEN_UP.get(contract.table, ()))
    ]
    return contract.model_copy(update={"columns": (*contract.columns, *former, *gone)})


def check_writable(contract: Contract, table: DeltaTable, root: Path) -> None:
    """Raise PipelineError for a table that does not have its contract's columns."""
    if missing := lacking_only(contract, table):
        raise PipelineError(
            f"table {contract.table} lacks {', '.join(missing)}: an earlier version of persona-pipeline wrote it. Run "
            f"`persona-pipeline migrate --warehouse {root}`, which adds what is missing and keeps what was published"
        )
    if kept := given_up(contract, table):
        raise PipelineError(
            f"table {contract.table} has {', '.join(kept)}, no longer kept: an earlier version of persona-pipeline wrote it. Run "
            f"`persona-pipeline migrate --warehouse {root}`, which leaves it out and keeps what was published"
        )


def dataset(contract: Contract, table: DeltaTable) -> Any:
    """What is stored, with all the contract's columns; nothing is read yet, unless `BEFORE` has to fill one in."""
    stored = schema_of(table)
    missing = lacking(contract, stored)
    if not missing:
        return table.to_pyarrow_dataset()
    if _filled(contract, missing):
        return completed(contract, table.to_pyarrow_dataset().to_table(), contract.names)
    return table.to_pyarrow_dataset(schema=_evolved(contract, stored))


def completed(contract: Contract, rows: pa.Table, names: Sequence[str] | None = None) -> pa.Table:
    """Rows with all the columns asked for (all but the partition's by default), and all fields of their structs."""
    wanted, missing = contract.arrow_schema(), lacking(contract, rows.schema)
    names = names or [name for name in contract.names if name not in contract.partition_by]
    columns = {name: rows[name] for name in names if name in rows.column_names}
    for name in names:
        if FORMER.get((contract.table, name)) in rows.column_names:
            columns[name] = rows[FORMER[contract.table, name]]
        elif name not in columns:
            before = BEFORE.get((contract.table, name))
            columns[name] = pa.array([before] * rows.num_rows, wanted.field(name).type)
        elif any(part.startswith(f"{name}.") for part in missing):
            columns[name] = columns[name].cast(wanted.field(name).type)
    return pa.table({name: columns[name] for name in names})


def add_columns(contract: Contract, table: DeltaTable, commit: CommitProperties) -> None:
    """Give a table what it lacks of its contract and take from it what is given up, in one commit.

    The commit names the old files and reads none of them, unless a column has to be filled in, or a struct's fields would not
    stand in the contract's order, by which Spark compares them: then all is written again.
    """
    stored, wanted = schema_of(table), contract.arrow_schema()
    missing = lacking(contract, stored)
    if _filled(contract, missing) or any("." in name for name in missing) or given_up(contract, table):
        found = dataset(contract, table)
        batches = (batch.select(contract.names).cast(wanted) for batch in found.to_batches())
        rows = pa.RecordBatchReader.from_batches(wanted, batches)
        write_deltalake(table, rows, mode="overwrite", schema_mode="overwrite", commit_properties=commit)
    else:
        table.alter.add_columns([delta_field(wanted.field(name)) for name in missing], commit_properties=commit)


def _filled(contract: Contract, missing: Sequence[str]) -> bool:
    """Whether one of the columns may not be null. Raises PipelineError where nothing says what it holds instead."""
    required = [column.name for column in contract.columns if column.name in missing and not column.nullable]
    if untold := [name for name in required if (contract.table, name) not in {*BEFORE, *FORMER}]:
        raise PipelineError(
            f"table {contract.table}: nothing says what rows from before {', '.join(untold)} hold there"
        )
    return bool(required)


def _without(wanted: pa.Schema, found: pa.Schema) -> list[str]:
    """What one schema names and another does not."""
    missing = []
    for field in wanted:
        if field.name not in found.names:
            missing.append(field.name)
        else:
            there = _fields(found.field(field.name))
            missing += [f"{field.name}.{name}" for name in _fields(field) if name not in there]
    return missing


def _fields(field: pa.Field) -> list[str]:
    """Fields of a list of structs; none of anything else."""
    kind = field.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return [part.name for part in kind.value_type] if is_list and pa.types.is_struct(kind.value_type) else []


def _evolved(contract: Contract, stored: pa.Schema) -> pa.Schema:
    """A stored schema with what it lacks of the contract."""
    added = {
        name.partition(".")[0]: contract.arrow_schema().field(name.partition(".")[0])
        for name in lacking(contract, stored)
    }
    fields = {field.name: field for field in stored} | added
    return pa.schema([field.with_metadata(None) for field in fields.values()])
