"""Audit the run's tables, publish the staged ones as a release, and record the verdict in `releases`; a refusal fails the task."""

import argparse
import logging
from typing import Any

from deltalake.exceptions import DeltaError

from jobs.runner import run
from persona_pipeline.core.errors import ReleaseError
from persona_pipeline.publish.audit import audit
from persona_pipeline.publish.drift_limits import audit_parameters
from persona_pipeline.publish.publication import PUBLICATION, audited_versions, publish_or_refuse
from persona_pipeline.publish.retention import clean
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.runs.completeness import require_complete
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import close_run
from persona_pipeline.warehouse import Warehouse

log = logging.getLogger("persona_pipeline.releases")


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Audit, publish or refuse, and delete files that no retained release needs; one publication at a time."""
    with context.warehouse.lock(PUBLICATION):
        return {**_concluded(context), "cleaned": _cleaned(context)}


def _concluded(context: RunContext) -> dict[str, Any]:
    config, warehouse, encoder_id = context.config, context.warehouse, context.encoder_id()
    written: list[dict[str, Any]] = []

    def publish() -> None:
        from persona_pipeline.spark.session import session
        from persona_pipeline.warehouse.spark_tables import SparkWarehouse

        spark = session(config.spark, "releases")
        candidate = SparkWarehouse(spark, staged_tables(warehouse)).read("user_item_topk")
        written.append(SparkWarehouse(spark, warehouse).publish("user_item_topk", candidate).as_dict())
        written.append(warehouse.replace("default_topk", staged_tables(warehouse).read("default_topk")).as_dict())

    require_complete(context)
    seen = audited_versions(warehouse)
    parameters = audit_parameters(warehouse, context.as_of, config, context.parent, encoder_id)
    found = audit(warehouse, parameters, context.parent)
    row = publish_or_refuse(warehouse, context.as_of, config, context.parent, encoder_id, found, publish, seen)
    refused = row["verdict"] == "refused"
    close_run(
        Warehouse(warehouse.root, warehouse.commit),
        context.run_id,
        "refused" if refused else "published",
        row["release_id"],
    )
    if refused:
        told = "\n  ".join(row["reasons"])
        accepting = (
            f"\nOnly its distance from the release before speaks against it; to let it through: persona-pipeline releases "
            f"accept {row['release_id']} --warehouse {warehouse.root}, then run this task again"
        )
        raise ReleaseError(
            f"release {row['release_id']} refused; readers keep the one before.\n  {told}"
            + ("" if found.unsound else accepting)
        )
    return {
        "release_id": row["release_id"],
        "verdict": row["verdict"],
        "measures": len(found.measures),
        "written": written,
    }


def _cleaned(context: RunContext) -> dict[str, Any]:
    limits = context.config.releases
    try:
        # Not as the run sees the warehouse: what an earlier version does not need may be needed.
        plain = Warehouse(context.warehouse.root, context.warehouse.commit)
        done = clean(plain, limits.keep, limits.grace_hours)
    except (OSError, DeltaError) as error:  # the night is published; a full disk or a stray file is for the morning
        log.warning("releases are published, but old files were not deleted: %s", error)
        return {"error": str(error)}
    return {"files": sum(done.files.values()), "bytes": done.bytes}


if __name__ == "__main__":
    run("releases", job)
