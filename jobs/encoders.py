"""Train an encoder on `training_pairs` into `encoders` if the retrain policy demands one; the gate judges changed settings."""

import argparse
from typing import Any

from jobs.runner import run
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder import retrain_policy
from persona_pipeline.model_registry.base_models import embedder_of_incumbent
from persona_pipeline.model_registry.incumbent import incumbent_of, mark_manual
from persona_pipeline.model_registry.training_run import register, train_encoder
from persona_pipeline.runs.context import RunContext


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Apply an override if one is in force; else decide whether to retrain, train, and register the encoder."""
    incumbent = incumbent_of(context.warehouse, context.overrides, context.as_of, context.parent)
    embedder = embedder_of_incumbent(context.warehouse, incumbent, context.config.text_embeddings)
    if incumbent.override:
        override = incumbent.override
        written = [result.as_dict() for result in mark_manual(context.warehouse, incumbent)]
        obeyed = {"encoder_id": override.encoder_id, "reason": override.told(), "written": written}
        return {"trained": False, override.override: True, **obeyed}
    configured = Embedder(context.config.text_embeddings, context.warehouse)
    reason = retrain_policy.reason_to_train(incumbent.served, context.as_of, configured.base_model, context.config)
    served_id = incumbent.served.encoder_id if incumbent.served else None
    if reason is None:
        return {"trained": False, "encoder_id": served_id}
    versions = {table: context.warehouse.version(table) or 0 for table in retrain_policy.TRAINED_ON}
    encoder_id = retrain_policy.encoder_id(context.as_of, configured.base_model, context.config, versions, served_id)
    if context.warehouse.read("encoders", ["encoder_id"], where=f"encoder_id = '{encoder_id}'").num_rows:
        stood = "already trained by an earlier attempt at this night"
        return {"trained": False, "encoder_id": encoder_id, "reason": stood}
    trained = train_encoder(context.warehouse, context.config, incumbent, embedder, reason, encoder_id, versions)
    registered = register(context.warehouse, context.as_of, context.config, trained, versions)
    settled = trained.settled
    found = {"reason": reason, "verdict": settled.verdict, "reasons": settled.reasons}
    found |= {"base_model": trained.encoder.base_model}
    return {"trained": True, "encoder_id": encoder_id, **found, **trained.metrics, "written": [registered.as_dict()]}


if __name__ == "__main__":
    run("encoders", job)
