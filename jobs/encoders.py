"""`training_pairs` to `encoders`: train when the policy says so, with new settings if they pass the gate; else keep."""

import argparse
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.runner import Night, run
from persona_pipeline.contracts import load_contract
from persona_pipeline.encoder import retraining
from persona_pipeline.encoder.embedding import embed_everything
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.promotion.bases import embedder_of_standing, settings_of_standing
from persona_pipeline.promotion.decision import mark_manual, standing
from persona_pipeline.promotion.training import train
from persona_pipeline.text_embeddings import Embedder

ARTEFACTS = Path("_artefacts") / "encoders"


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Obey orders; else decide, train and register."""
    stands = standing(night.warehouse, night.as_of, night.parent)
    embedder = embedder_of_standing(night.warehouse, stands, night.config.text_embeddings)
    if stands.order:
        # It may have been given after the texts were embedded.
        embed_everything(
            night.warehouse, embedder, night.config.training_pairs.min_liked_rating, settings_of_standing(stands)
        )
        written = [result.as_dict() for result in mark_manual(night.warehouse, stands)]
        ordered = {"encoder_id": stands.order.encoder_id, "reason": stands.order.told(), "written": written}
        return {"trained": False, stands.order.order: True, **ordered}
    configured = Embedder(night.config.text_embeddings, night.warehouse)
    reason = retraining.reason_to_train(stands.served, night.as_of, configured.base_model, night.config)
    served_id = stands.served.encoder_id if stands.served else None
    if reason is None:
        return {"trained": False, "encoder_id": served_id}
    versions = {table: night.warehouse.version(table) or 0 for table in retraining.TRAINED_ON}
    encoder_id = retraining.encoder_id(night.as_of, configured.base_model, night.config, versions, served_id)
    if night.warehouse.read("encoders", ["encoder_id"], where=f"encoder_id = '{encoder_id}'").num_rows:
        stood = "already trained by an earlier attempt at this night"
        return {"trained": False, "encoder_id": encoder_id, "reason": stood}
    trained = train(night.warehouse, night.config, stands, embedder, reason, encoder_id, versions)
    encoder, settled, metrics = trained.encoder, trained.settled, trained.metrics
    artefact = ARTEFACTS / encoder_id
    encoder.save(night.warehouse.root / artefact)
    row = {
        "encoder_id": encoder_id,
        "as_of": night.as_of,
        "artefact": str(artefact),
        "base_model": encoder.base_model,
        "text_version": TEXT_VERSION,
        "dimensions": len(encoder.persona_map),
        "config_digest": retraining.settings_digest(night.config),
        **settled.columns(),
        "pair_count": trained.pair_count,
        "data_versions": [{"table": t, "version": v} for t, v in sorted(versions.items())],
        "metrics": [{"name": n, "value": v} for n, v in sorted(metrics.items())],
    }
    rows = pa.Table.from_pylist([row], schema=load_contract("encoders").arrow_schema())
    found = {"reason": reason, "verdict": settled.verdict, "reasons": settled.reasons, "base_model": encoder.base_model}
    written = [night.warehouse.upsert("encoders", rows).as_dict()]
    return {"trained": True, "encoder_id": encoder_id, **found, **metrics, "written": written}


if __name__ == "__main__":
    run("encoders", job)
