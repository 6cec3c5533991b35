"""Erase people from a warehouse: `persona-pipeline erase ...`."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from persona_pipeline.commands.options import WarehouseOption, console
from persona_pipeline.core.errors import PipelineError


def erase(
    users: Annotated[list[str] | None, typer.Argument(help="User ids, as the input has them, or pseudonyms.")] = None,
    warehouse: WarehouseOption = Path("warehouse"),
    file: Annotated[Path | None, typer.Option(help="File of user ids, one a line.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Erase without asking.")] = False,
    go_on: Annotated[bool, typer.Option("--go-on", help="Complete an erasure that was broken off.")] = False,
    let_back: Annotated[
        bool, typer.Option("--let-back", help="Erase nobody: count lines of these people, erased before, again.")
    ] = False,
) -> None:
    """Erase people: every table in all versions, caches, staging, logs, reports. Nothing brings them back.

    Ends with 1, and has changed nothing, where none of the ids is known, a run is open, or the answer is no; with 2 where all
    is done but files are named that only you can mend.
    """
    from persona_pipeline.commands.erase_console import show_erased, show_left
    from persona_pipeline.erasure.erase import complete, erase, foresee
    from persona_pipeline.erasure.erase import let_back as let_them_back

    root, by = warehouse.resolve(), getpass.getuser()
    named = _named(users or [], file)
    if go_on:
        if named:
            raise PipelineError("--go-on takes no ids: it completes what was begun; erase more people after it")
        done = complete(root)
        show_erased(done, console)
    elif not named:
        raise PipelineError("whom to erase? Give user ids, or a file of them with --file")
    elif let_back:
        number = let_them_back(root, named, by)
        console.print(f"{number} of {len(named)} were kept out; their lines count again from the next night on")
        return
    elif dry_run:
        done = foresee(root, named)
        show_erased(done, console, dry_run=True)
    else:
        if not yes:
            show_erased(foresee(root, named), console, dry_run=True)
            if not typer.confirm("Erase them? Nothing brings this back"):
                raise PipelineError("nothing was erased")
        done = erase(root, named, by)
        show_erased(done, console)
    if show_left(done, console):
        raise typer.Exit(2)


def _named(users: list[str], file: Path | None) -> list[str]:
    """Ids from the command line and the file, each once. Raises PipelineError where the file cannot be read."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file else []
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{file}: expected a file of user ids, one a line, in UTF-8; {error}") from error
    return sorted({one.strip() for one in (*users, *lines)} - {""})
