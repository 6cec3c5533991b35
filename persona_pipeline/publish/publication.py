"""The verdict on a night, and what follows from it: candidates published and a release, or a refusal on record."""

import hashlib
import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pyarrow as pa

from persona_pipeline.config import PipelineConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.publish.audit import Audit
from persona_pipeline.publish.candidates import PUBLISHED, candidates
from persona_pipeline.publish.releases import Release
from persona_pipeline.warehouse import Warehouse


def conclude(
    warehouse: Warehouse,
    as_of: date,
    config: PipelineConfig,
    parent: Release | None,
    encoder_id: str,
    audit: Audit,
    publish: Callable[[], None],
) -> dict[str, Any]:
    """Publish if the audit found nothing, and write the night's row of `releases`, which is its commit point.

    `publish` makes the published tables equal to their candidates. A crash before the row is written leaves readers with
    the release before: they open tables at the versions its row names. Returns the row.
    """
    made_of = {t: v for t, v in warehouse.versions().items() if t not in (*PUBLISHED, "releases")}
    # With the candidates: judging others gives another release, and leaves the verdict on these as it was.
    judged = made_of | {f"candidate {table}": v for table, v in candidates(warehouse).versions().items()}
    ingredients = (config.digest(), parent and parent.release_id, sorted(judged.items()))
    release_id = f"{as_of}-{hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()[:8]}"
    if not audit.failures:
        publish()
        made_of |= {table: warehouse.version(table) or 0 for table in PUBLISHED}
    row = {
        "release_id": release_id,
        "as_of": as_of,
        "parent_release_id": parent.release_id if parent else None,
        "verdict": "refused" if audit.failures else "published",
        "reasons": audit.failures,
        "encoder_id": encoder_id,
        "config_digest": config.digest(),
        "config": config.model_dump_json(exclude={"spark"}),
        "table_versions": [{"table": t, "version": v} for t, v in sorted(made_of.items())],
        "metrics": [{"name": n, "value": v} for n, v in sorted(audit.measures.items())],
    }
    rows = [row] if audit.failures else [row, *_superseded(warehouse, as_of, release_id)]
    warehouse.upsert("releases", pa.Table.from_pylist(rows, schema=load_contract("releases").arrow_schema()))
    return row


def _superseded(warehouse: Warehouse, as_of: date, release_id: str) -> list[dict[str, Any]]:
    """Earlier releases of the same night, which this one takes the place of."""
    earlier = warehouse.read("releases", where=f"verdict = 'published' AND as_of = DATE '{as_of}'").to_pylist()
    return [{**row, "verdict": "superseded"} for row in earlier if row["release_id"] != release_id]
