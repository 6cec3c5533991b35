"""Generate docs/tables.md from the table contracts."""

from persona_pipeline.contracts import Column, Subject, load_contract

_KEPT = {
    "as_released": "at the versions that retained releases name",
    "all_rows": "whole: rows are never removed",
    "until_emptied": "as long as wanted: what is deleted is made again, at its cost",
}


def tables_reference(tables: list[str]) -> str:
    """Render Markdown with one section per table: description, key, partitions, columns."""
    sections = [_section(table) for table in tables]
    head = "# Tables\n\nMade from `schemas/*.yaml` by `make docs`; change those, not this page.\n"
    return "\n".join([head, *sections])


def _section(table: str) -> str:
    contract = load_contract(table)
    lines = [
        f"## {table}\n",
        f"{contract.description}\n",
        f"Role: {contract.role}, kept {_KEPT[contract.retention]}. Owner: {contract.owner}. "
        f"Made by {_maker(contract.made_by)}, written with {contract.engine}. "
        + (f"Reads {', '.join(contract.reads)}. " if contract.reads else "")
        + (f"Reads as they were before the run {', '.join(contract.reads_before)}. " if contract.reads_before else "")
        + (f"After {', '.join(contract.after)}. " if contract.after else "")
        + f"Key: {', '.join(contract.key)}."
        + (f" Partitioned by {', '.join(contract.partition_by)}." if contract.partition_by else "")
        + (f" Stored in order of {', '.join(contract.sort_by)}." if contract.sort_by else "")
        + (" Change data feed on." if contract.change_feed else "")
        + "\n",
        "| column | type | null | [about](erasure.md#a-new-table) | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for column in contract.columns:
        lines.append(
            f"| {column.name} | {_type(column)} | {'yes' if column.nullable else 'no'} | {_about(column.subject)} "
            f"| {column.description} |"
        )
        lines += [
            f"| {column.name}[].{f.name} | {f.type} | yes | {_about(f.subject)} | {f.description} |"
            for f in column.fields
        ]
    return "\n".join(lines) + "\n"


def _maker(made_by: str) -> str:
    return "people, by commands" if made_by == "people" else f"`jobs/{made_by}.py`"


def _about(subject: Subject | None) -> str:
    return "" if subject in (None, "none") else str(subject)


def _type(column: Column) -> str:
    if column.type != "list":
        return column.type
    return f"list of {column.items or 'structs'}"
