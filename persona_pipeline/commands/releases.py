"""List, compare, accept and roll back releases, and delete old files: `persona-pipeline releases ...`."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from persona_pipeline.commands.options import WarehouseOption, console
from persona_pipeline.core.terminal import counted

releases = typer.Typer(no_args_is_help=True, help="What is published, what changed, and back to an earlier night.")
ReasonOption = Annotated[str | None, typer.Option(help="Why; kept in the table releases.")]
ReleaseArgument = Annotated[str, typer.Argument(help="As `releases list` shows it.")]


@releases.command("list")
def list_releases(warehouse: WarehouseOption = Path("warehouse")) -> None:
    """Show every night that was judged: its verdict, its encoder, why it was refused, and which one readers see."""
    from persona_pipeline.commands.releases_console import show_releases
    from persona_pipeline.warehouse import Warehouse

    show_releases(Warehouse(warehouse), console)


@releases.command()
def show(release: ReleaseArgument, warehouse: WarehouseOption = Path("warehouse")) -> None:
    """Show one release whole: reasons, table versions, what the audit measured."""
    from persona_pipeline.commands.releases_console import show_release
    from persona_pipeline.warehouse import Warehouse

    show_release(Warehouse(warehouse), release, console)


@releases.command()
def diff(
    before: Annotated[str, typer.Argument(help="One release.")],
    after: Annotated[str, typer.Argument(help="The other, usually the later.")],
    warehouse: WarehouseOption = Path("warehouse"),
) -> None:
    """Show what readers see differently in another release, by cause: reviews, personas, encoder, prior, other."""
    from persona_pipeline.commands.releases_console import show_diff
    from persona_pipeline.warehouse import Warehouse

    show_diff(Warehouse(warehouse), before, after, console)


@releases.command()
def rollback(
    release: ReleaseArgument, warehouse: WarehouseOption = Path("warehouse"), reason: ReasonOption = None
) -> None:
    """Serve an earlier release again and withdraw what was published after it; the next night starts from it."""
    from persona_pipeline.model_registry.overrides import keep_encoder
    from persona_pipeline.publish.rollback import roll_back
    from persona_pipeline.warehouse import Warehouse

    by = getpass.getuser()
    store = Warehouse(warehouse.resolve(), {"job": "releases rollback", "by": by, "release": release})
    done = roll_back(store, release, by, reason)
    console.print(f"[bold green]Readers see {done.release.release_id}[/], as of {done.release.as_of}")
    console.print(f"withdrawn: {', '.join(done.withdrawn) or 'nothing'}", soft_wrap=True)
    console.print(f"tables brought back: {', '.join(done.restored) or 'none, they were as they should be'}")
    for told in keep_encoder(store, done.release, datetime.now(UTC)):
        console.print(told, markup=False, soft_wrap=True)


@releases.command()
def accept(
    release: ReleaseArgument, warehouse: WarehouseOption = Path("warehouse"), reason: ReasonOption = None
) -> None:
    """Accept a night that was refused only by drift limits against the one before; then run its `releases` task again."""
    from persona_pipeline.publish.rollback import accept as accept_release
    from persona_pipeline.warehouse import Warehouse

    by = getpass.getuser()
    store = Warehouse(warehouse.resolve(), {"job": "releases accept", "by": by, "release": release})
    accept_release(store, release, by, reason)
    console.print(
        f"{release} is accepted; clear the task `releases` of its night, or run it again, to publish it", soft_wrap=True
    )


@releases.command()
def clean(
    warehouse: WarehouseOption = Path("warehouse"),
    config: Annotated[str, typer.Option(help="Profile or YAML file: releases.keep, releases.grace_hours.")] = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
) -> None:
    """Delete files that no retained release needs; every night does so once it has published."""
    from persona_pipeline.config import load_config
    from persona_pipeline.publish.publication import PUBLICATION
    from persona_pipeline.publish.retention import clean as clean_tables
    from persona_pipeline.warehouse import Warehouse

    store, limits = Warehouse(warehouse.resolve(), {"job": "releases clean"}), load_config(config).releases
    with store.lock(PUBLICATION):
        done = clean_tables(store, limits.keep, limits.grace_hours, dry_run)
    for table, number in sorted(done.files.items()):
        console.print(f"  {table:<32} {counted(number, 'file')}")
    verb = "would be deleted" if dry_run else "deleted"
    console.print(f"{counted(sum(done.files.values()), 'file')} {verb}, {done.bytes / 1e6:,.1f} MB")
