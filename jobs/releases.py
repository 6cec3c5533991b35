"""Candidates to a release: audit everything, publish in one commit per table, record the verdict. A refusal fails the task."""

import argparse
from typing import Any

from jobs.runner import Night, run
from persona_pipeline.errors import ReleaseError
from persona_pipeline.publish.audit import audit
from persona_pipeline.publish.candidates import candidates
from persona_pipeline.publish.publication import conclude


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Audit, then publish or refuse."""
    config, warehouse = night.config, night.warehouse
    written: list[dict[str, Any]] = []

    def publish() -> None:
        from persona_pipeline.spark import session
        from persona_pipeline.warehouse.spark_tables import SparkWarehouse

        spark = session(config.spark, "releases")
        candidate = SparkWarehouse(spark, candidates(warehouse)).read("user_item_topk")
        written.append(SparkWarehouse(spark, warehouse).publish("user_item_topk", candidate).as_dict())
        written.append(warehouse.replace("default_topk", candidates(warehouse).read("default_topk")).as_dict())

    parameters = {
        "as_of": night.as_of.isoformat(),
        "k": config.user_item_topk.k,
        "exclude_reviewed": config.user_item_topk.exclude_reviewed,
        "max_personas": config.extraction.max_personas,
        "max_reviews": config.item_reviews.max_reviews,
    }
    found = audit(warehouse, parameters)
    row = conclude(warehouse, night.as_of, config, night.parent, night.encoder_id(), found, publish)
    if found.failures:
        raise ReleaseError(
            f"release {row['release_id']} refused; readers keep the one before.\n  " + "\n  ".join(found.failures)
        )
    return {
        "release_id": row["release_id"],
        "verdict": row["verdict"],
        "measures": len(found.measures),
        "written": written,
    }


if __name__ == "__main__":
    run("releases", job)
