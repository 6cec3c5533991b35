"""Candidates to a release: audit everything, publish in one commit per table, record the verdict. A refusal fails the task."""

import argparse
import logging
from typing import Any

from deltalake.exceptions import DeltaError

from jobs.runner import Night, run
from persona_pipeline.errors import ReleaseError
from persona_pipeline.publish.audit import audit
from persona_pipeline.publish.candidates import candidates
from persona_pipeline.publish.limits import audit_parameters
from persona_pipeline.publish.publication import PUBLICATION, check_whole_night, conclude, judged
from persona_pipeline.publish.retention import clean

log = logging.getLogger("persona_pipeline.releases")


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Audit, publish or refuse, and delete what no retained release needs; one publication at a time."""
    with night.warehouse.claim(PUBLICATION):
        return {**_concluded(night), "cleaned": _cleaned(night)}


def _concluded(night: Night) -> dict[str, Any]:
    config, warehouse, encoder_id = night.config, night.warehouse, night.encoder_id()
    written: list[dict[str, Any]] = []

    def publish() -> None:
        from persona_pipeline.spark import session
        from persona_pipeline.warehouse.spark_tables import SparkWarehouse

        spark = session(config.spark, "releases")
        candidate = SparkWarehouse(spark, candidates(warehouse)).read("user_item_topk")
        written.append(SparkWarehouse(spark, warehouse).publish("user_item_topk", candidate).as_dict())
        written.append(warehouse.replace("default_topk", candidates(warehouse).read("default_topk")).as_dict())

    check_whole_night(warehouse, night.as_of, night.parent)
    seen = judged(warehouse)
    parameters = audit_parameters(warehouse, night.as_of, config, night.parent, encoder_id)
    found = audit(warehouse, parameters, night.parent)
    row = conclude(warehouse, night.as_of, config, night.parent, encoder_id, found, publish, seen)
    if row["verdict"] == "refused":
        told = "\n  ".join(row["reasons"])
        accepting = (
            f"\nOnly its distance from the release before speaks against it; to let it through: persona-pipeline releases "
            f"accept {row['release_id']} --warehouse {warehouse.root}, then run this task again"
        )
        raise ReleaseError(
            f"release {row['release_id']} refused; readers keep the one before.\n  {told}"
            + ("" if found.failures else accepting)
        )
    return {
        "release_id": row["release_id"],
        "verdict": row["verdict"],
        "measures": len(found.measures),
        "written": written,
    }


def _cleaned(night: Night) -> dict[str, Any]:
    limits = night.config.releases
    try:
        done = clean(night.warehouse, limits.keep, limits.grace_hours)
    except (OSError, DeltaError) as error:  # the night is published; a full disk or a stray file is for the morning
        log.warning("releases are published, but old files were not deleted: %s", error)
        return {"error": str(error)}
    return {"files": sum(done.files.values()), "bytes": done.bytes}


if __name__ == "__main__":
    run("releases", job)
