"""Delete table files that no retained release references (vacuum); every version named by a retained release stays readable.

Retention goes by releases, not by time: the rows of `releases` of the newest `keep` published nights and all after
them, refused and withdrawn ones too. The log of a table is never cleaned (`warehouse._delta.TABLE_PROPERTIES`), so every
version whose files are there can be opened.
"""

from dataclasses import dataclass
from pathlib import Path

from persona_pipeline.publish.releases import Row, release_rows
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Deleted files and bytes by table, staged tables as `_candidates/<table>`; with `dry_run`, what would be deleted."""

    files: dict[str, int]
    bytes: int


def retained(warehouse: Warehouse, keep: int) -> list[Row]:
    """Rows of `releases` whose versions stay readable, oldest night first; all of them before `keep` nights are published."""
    rows = release_rows(warehouse)
    nights = sorted({row["as_of"] for row in rows if row["verdict"] == "published"})
    return [row for row in rows if not nights or row["as_of"] >= nights[-keep:][0]]


def clean(warehouse: Warehouse, keep: int, grace_hours: int, dry_run: bool = False) -> Cleaned:
    """Delete files that belong to no retained release and to no newest version.

    A file younger than `grace_hours` stays: a file of a commit in flight is in no log yet, and only its age tells it
    from rubbish; nor does a reader lose the version it opened when a night replaced it. No commit is made, so table
    versions stay as releases record them (Delta's own VACUUM would commit twice per table).

    Args:
        warehouse: held by the caller's lock PUBLICATION.
        keep: published nights to retain.
        grace_hours: longer than any job, and than any reader keeps a version open.
        dry_run: only report.
    """
    named: dict[str, set[int]] = {}
    for row in retained(warehouse, keep):
        for entry in row["table_versions"]:
            named.setdefault(entry["table"], set()).add(entry["version"])
    found: dict[str, list[Path]] = {}
    for place in (warehouse, staged_tables(warehouse)):
        for table in place.versions():
            versions = sorted(named.get(table, ())) if place is warehouse else []
            files = place.unneeded_files(table, versions, grace_hours)
            if files:
                found[str(Path(place.path(table)).relative_to(warehouse.root))] = files
    freed = sum(path.stat().st_size for files in found.values() for path in files)
    if not dry_run:
        for files in found.values():
            for path in files:
                path.unlink(missing_ok=True)
    return Cleaned({name: len(files) for name, files in found.items()}, freed)
