"""Print what an erasure does or did: rows by table and version, files, and what is left to the operator; nobody is named."""

from rich.console import Console
from rich.table import Table

from persona_pipeline.core.terminal import counted
from persona_pipeline.erasure.erase import Erased

_YOURS = (
    "the input files: their lines there are left out of every night, but the files are yours",
    "other warehouses, of backtests or copies: run this command on each",
    "backups, snapshots of disks, and what readers of the tables have copied",
)


def show_erased(found: Erased, console: Console, dry_run: bool = False) -> None:
    """Print counts by table and version, then what is beside the tables."""
    goes, changes = ("rows that go", "that change") if dry_run else ("rows gone", "changed")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("table", "version", goes, changes):
        table.add_column(column, justify="left" if column == "table" else "right", overflow="fold")
    for name, versions in sorted(found.rows.items()):
        for version, (gone, changed) in sorted(versions.items()):
            table.add_row(name, str(version), f"{gone:,}", f"{changed:,}")
    if found.rows:
        console.print(table)
    if found.personas:
        told = "that only they support" if dry_run else "that only they supported"
        console.print(f"{counted(found.personas, 'persona')} {told}: retired, without text", markup=False)
    for what, number in sorted(found.loose.done.items()):
        console.print(f"{counted(number, 'file')} beside the tables: {what}", markup=False)
    if found.unknown:
        console.print(
            f"{counted(len(found.unknown), 'id')} that nothing here names, for which nothing was done: "
            + ", ".join(found.unknown[:10]) + (" ..." if len(found.unknown) > 10 else ""),
            markup=False, soft_wrap=True,
        )  # fmt: skip
    if dry_run:
        console.print(f"{_people(found.people)} would be erased; nothing was changed")
        return
    console.print(f"{_people(found.people)} erased, and kept out of nights to come by the table erasures")
    console.print("Not in reach of this command:\n  " + "\n  ".join(_YOURS), markup=False, soft_wrap=True)


def show_left(found: Erased, console: Console) -> bool:
    """Print files that mention somebody and cannot be rewritten, or cannot be searched; returns whether there are any."""
    for path in found.loose.left:
        console.print(
            f"{path}: mentions one of them and is of no kind that can be rewritten, or cannot be read; mend or delete it",
            markup=False,
        )
    return bool(found.loose.left)


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number:,} people"
