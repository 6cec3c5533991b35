"""What people decide about releases: serve an earlier one again, let a refused one through.

Both are rows of `releases` rewritten with who and why; nothing is deleted, and Delta's own history of the table says when.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from persona_pipeline.core.errors import ReleaseError
from persona_pipeline.publish.audit import is_drift_violation
from persona_pipeline.publish.publication import PUBLICATION, write_rows
from persona_pipeline.publish.releases import Release, Row, missing_files, release_of, release_row, release_rows
from persona_pipeline.publish.staging import PUBLISHED
from persona_pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a rollback did: the release served now, those withdrawn, and the published tables that had to be brought back."""

    release: Release
    withdrawn: list[str]
    restored: list[str]


def roll_back(warehouse: Warehouse, release_id: str, by: str, reason: str | None) -> RolledBack:
    """Serve a release that was published before; what was published after it is withdrawn, and so is nobody's parent.

    Readers follow `releases` and see it with one commit. Then the newest versions of the published tables are made equal
    to that release's, by Delta's RESTORE: a commit that names the old files again, so that `table_versions` stays as true
    as it was. Running it again completes one that was broken off.

    Raises ReleaseError for a release that was never published or is no longer kept, BusyError during a publication.
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
    """Let a refused night through that is sound and only far from its parent: the next run of `releases` publishes it.

    It holds for that release alone, that is, for these candidates, this configuration and this parent.

    Raises ReleaseError for a release that was not refused, or was for another reason too; BusyError during a publication.
    """
    with warehouse.lock(PUBLICATION):
        base, row = warehouse.version("releases"), release_row(warehouse, release_id)
        if row["verdict"] != "refused":
            raise ReleaseError(f"release {release_id} is {row['verdict']}; only a refused one can be accepted")
        unsound = [failure for failure in row["reasons"] if not is_drift_violation(failure)]
        if unsound:
            raise ReleaseError(
                f"release {release_id} cannot be accepted: its tables are not sound.\n  " + "\n  ".join(unsound)
            )
        told = f"accepted by {by}" + (f": {reason}" if reason else "")
        write_rows(warehouse, [_decided(row, "accepted", told)], base)


def _decided(row: Row, verdict: str, told: str) -> Row:
    reasons: Sequence[str] = row["reasons"]
    return {**row, "verdict": verdict, "reasons": [*reasons, told]}
