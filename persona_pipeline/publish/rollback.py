"""Roll back to an earlier release, or accept a refused one, by rewriting rows of `releases` with author and reason.

Nothing is deleted, and the table's Delta history says when.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from persona_pipeline.core.errors import ReleaseError
from persona_pipeline.publish.publication import PUBLICATION, write_rows
from persona_pipeline.publish.releases import Release, Row, missing_files, release_of, release_row, release_rows
from persona_pipeline.publish.staging import PUBLISHED
from persona_pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Outcome of a rollback: the release served now, the withdrawn releases, and the published tables that were restored."""

    release: Release
    withdrawn: list[str]
    restored: list[str]


def roll_back(warehouse: Warehouse, release_id: str, by: str, reason: str | None) -> RolledBack:
    """Serve a release that was published before; later releases are withdrawn, and so are no run's parent.

    Readers follow `releases` and see the change with one commit. Then the newest versions of the published tables are
    made equal to that release's, by Delta's RESTORE: a commit that names the old files again, so that `table_versions`
    stays true. Running it again completes an interrupted rollback.

    Raises ReleaseError for a release that was never published or is no longer retained, BusyError during a publication.
    """
    with warehouse.lock(PUBLICATION):
        base, rows = warehouse.version("releases"), release_rows(warehouse)
        target = release_row(warehouse, release_id)
        if target["verdict"] not in ("published", "superseded", "rolled_back"):
            raise ReleaseError(f"release {release_id} was {target['verdict']}: it has never been published")
        release = release_of(target)
        gone = missing_files(warehouse, release)
        if gone:
            raise ReleaseError(
                f"release {release_id} is no longer kept: {len(gone)} of its files were deleted, for example {gone[0]}"
            )
        told = f"by {by}" + (f": {reason}" if reason else "")
        withdrawn = [
            row for row in rows
            if row["verdict"] == "published" and row["as_of"] >= release.as_of and row["release_id"] != release_id
        ]  # fmt: skip
        changed = [_decided(row, "rolled_back", f"rolled back to {release_id} {told}") for row in withdrawn]
        if target["verdict"] != "published":
            changed.append(_decided(target, "published", f"served again {told}"))
        if changed:
            write_rows(warehouse, changed, base)
        restored = [table for table in PUBLISHED if warehouse.restore(table, release.versions[table])]
        return RolledBack(release, [row["release_id"] for row in withdrawn], restored)


def accept(warehouse: Warehouse, release_id: str, by: str, reason: str | None) -> None:
    """Accept a refused release whose only failures are drift violations: the next run of `releases` publishes it.

    It holds for that release alone, that is, for the same staged tables, configuration and parent.

    Raises ReleaseError for a release that was not refused, or was for another reason too; BusyError during a
    publication.
    """
    with warehouse.lock(PUBLICATION):
        base, row = warehouse.version("releases"), release_row(warehouse, release_id)
        if row["verdict"] != "refused":
            raise ReleaseError(f"release {release_id} is {row['verdict']}; only a refused one can be accepted")
        if not row["failed_checks"]:
            raise ReleaseError(
                f"release {release_id} was refused by an earlier version, which kept no failed checks as values; "
                "run its task releases again, then accept it"
            )
        unsound = [
            told for told, check in zip(row["reasons"], row["failed_checks"], strict=False) if check["kind"] != "drift"
        ]
        if unsound:
            raise ReleaseError(
                f"release {release_id} cannot be accepted: its tables are not sound.\n  " + "\n  ".join(unsound)
            )
        told = f"accepted by {by}" + (f": {reason}" if reason else "")
        write_rows(warehouse, [_decided(row, "accepted", told)], base)


def _decided(row: Row, verdict: str, told: str) -> Row:
    reasons: Sequence[str] = row["reasons"]
    return {**row, "verdict": verdict, "reasons": [*reasons, told]}
