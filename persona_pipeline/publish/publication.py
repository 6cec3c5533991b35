"""Publish the staged tables after a clean audit and write the verdict, a release or a refusal, to `releases`."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date

import pyarrow as pa

from persona_pipeline.config import PipelineConfig
from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.core.errors import BusyError, PipelineError, ReleaseError
from persona_pipeline.publish.audit import Audit
from persona_pipeline.publish.releases import Release, Row, parent_of, release_rows
from persona_pipeline.publish.staging import PUBLISHED, staged_tables
from persona_pipeline.warehouse import Warehouse

PUBLICATION = "publication"
"""The lock on a warehouse that publishing, accepting and rolling back hold."""


@dataclass(frozen=True, slots=True)
class AuditedVersions:
    """Table versions an audit looks at: the run's state, its logs, the staged tables, and `releases`."""

    tables: dict[str, int]
    logs: dict[str, int]
    staged: dict[str, int]
    releases: int | None


def audited_versions(warehouse: Warehouse) -> AuditedVersions:
    """Newest versions, to be taken before the audit. State tables define a release; logs are recorded beside, caches are not."""
    found = warehouse.versions()
    tables, logs = (
        {table: found[table] for table in table_names(role) if table in found and table != "releases"}
        for role in ("state", "log")
    )
    return AuditedVersions(tables, logs, staged_tables(warehouse).versions(), warehouse.version("releases"))


def publish_or_refuse(
    warehouse: Warehouse,
    as_of: date,
    config: PipelineConfig,
    parent: Release | None,
    encoder_id: str,
    audit: Audit,
    publish: Callable[[], None],
    seen: AuditedVersions,
) -> Row:
    """Publish if the audit found no failure, and write the night's row of `releases`, which is its commit point.

    `publish` makes the published tables equal to their staged ones. A crash before the row is written leaves readers
    with the previous release: they open tables at the versions its row names. A release that is published already stays
    unchanged.

    Args:
        warehouse: held by the caller's lock PUBLICATION since before the audit.
        as_of, config, parent, encoder_id: what the run was made from.
        audit: its result.
        publish: called once the verdict allows it.
        seen: versions the audit looked at.

    Returns:
        The row.

    Raises:
        ReleaseError: the same release was rolled back.
        BusyError: another process wrote one of the tables meanwhile; nothing was released.
        PipelineError: the published tables are not the audited ones; nothing was released.
    """
    # With the candidates: judging others gives another release, and leaves the verdict on these as it was.
    made_from = seen.tables | {f"candidate {table}": version for table, version in seen.staged.items()}
    ingredients = (config.digest(), parent and parent.release_id, sorted(made_from.items()))
    release_id = f"{as_of}-{hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()[:8]}"
    rows = {row["release_id"]: row for row in release_rows(warehouse)}
    before = rows.get(release_id)
    if before and before["verdict"] == "rolled_back":
        raise ReleaseError(
            f"release {release_id} was rolled back ({'; '.join(before['reasons'])}), and nothing it is made from has changed "
            f"since. Mend the cause and run the night again, or `persona-pipeline releases rollback {release_id}`"
        )
    accepted = before is not None and before["verdict"] in ("accepted", "published")
    refused = audit.unsound or (bool(audit.failed) and not accepted)
    standing = before is not None and before["verdict"] == "published"
    table_versions = seen.logs | seen.tables
    if standing or not refused:
        publish()
        table_versions |= {table: warehouse.version(table) or 0 for table in PUBLISHED}
        _check_published(warehouse, seen)
    _check_unmoved(warehouse, as_of, parent, seen)
    if standing:
        assert before is not None
        return before
    # An acceptance stays on record beside what was accepted.
    said = before if before and accepted and not refused else None
    row = {
        "release_id": release_id,
        "as_of": as_of,
        "parent_release_id": parent.release_id if parent else None,
        "verdict": "refused" if refused else "published",
        "reasons": said["reasons"] if said else [str(check) for check in audit.failed],
        # An acceptance from before checks were kept as values was of the checks that fail now: the release is the same.
        "failed_checks": (said and said["failed_checks"]) or [asdict(check) for check in audit.failed],
        "encoder_id": encoder_id,
        "config_digest": config.digest(),
        "config": config.model_dump_json(exclude={"spark"}),
        "table_versions": [{"table": t, "version": v} for t, v in sorted(table_versions.items())],
        "metrics": [{"name": n, "value": v} for n, v in sorted(audit.measures.items())],
    }
    superseded = () if refused else [r for r in rows.values() if (r["as_of"], r["verdict"]) == (as_of, "published")]
    write_rows(warehouse, [row, *({**other, "verdict": "superseded"} for other in superseded)], seen.releases)
    return row


def write_rows(warehouse: Warehouse, rows: list[Row], base: int | None) -> None:
    """Commit rows of `releases` based on its version `base`. Raises BusyError where the table has moved on since."""
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=load_contract("releases").arrow_schema())
    warehouse.upsert("releases", table, base)


def _check_published(warehouse: Warehouse, seen: AuditedVersions) -> None:
    """Raise PipelineError unless each published table equals its audited staged table; one scan of either."""
    for table in PUBLISHED:
        audited = staged_tables(warehouse).dataset(table, seen.staged.get(table))
        sql = f"SELECT count(*) AS rows, bit_xor(hash({', '.join(load_contract(table).names)})) AS digest FROM told"
        found, wanted = (warehouse.query(sql, [], told=rows) for rows in (warehouse.dataset(table), audited))
        if found != wanted:
            raise PipelineError(
                f"{table} was published with {found['rows'][0]} rows that are not the {wanted['rows'][0]} audited ones; no release "
                "names them, and readers keep the one before. Run the releases task again"
            )


def _check_unmoved(warehouse: Warehouse, as_of: date, parent: Release | None, seen: AuditedVersions) -> None:
    now = audited_versions(warehouse)
    moved = [
        *_differing(seen.tables, now.tables),
        *(f"candidate {t}" for t in _differing(seen.staged, now.staged)),
    ]
    if moved:
        raise BusyError(
            f"another process wrote {', '.join(moved)} while the night of {as_of} was judged; no release came of it. "
            "Run it again once the other has ended"
        )
    if parent_of(warehouse, as_of) != parent:
        raise BusyError(
            f"another night was published or rolled back while the night of {as_of} was judged; no release came of it"
        )


def _differing(one: Mapping[str, int], other: Mapping[str, int]) -> list[str]:
    return sorted(table for table in one.keys() | other.keys() if one.get(table) != other.get(table))
