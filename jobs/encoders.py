"""`training_pairs` to `encoders`: train when the policy says so, with new settings if they pass the gate; else keep."""

import argparse
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.runner import Night, run
from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.contracts import load_contract
from persona_pipeline.encoder import retraining
from persona_pipeline.encoder.prior import liked_interactions
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.errors import PipelineError
from persona_pipeline.promotion.decision import mark_manual, settle, standing
from persona_pipeline.provenance import reviews_digest
from persona_pipeline.text_embeddings import Embedder

ARTEFACTS = Path("_artefacts") / "encoders"


def options(parser: argparse.ArgumentParser) -> None:
    """Arguments of this job alone."""
    told = "Parquet of user_id, item_id the night does not know: choose settings, train nothing"
    parser.add_argument("--held-out", type=Path, help=told)


def job(night: Night, arguments: argparse.Namespace) -> dict[str, Any]:
    """Obey orders; else decide, train and register."""
    base_model = Embedder(night.config.text_embeddings, night.warehouse).base_model
    if arguments.held_out:
        return _tuned(night, base_model, arguments.held_out)
    stands = standing(night.warehouse, night.as_of, night.parent, base_model)
    if stands.order:
        written = [result.as_dict() for result in mark_manual(night.warehouse, stands)]
        ordered = {"encoder_id": stands.order.encoder_id, "reason": stands.order.told(), "written": written}
        return {"trained": False, stands.order.order: True, **ordered}
    reason = retraining.reason_to_train(stands.served, night.as_of, base_model, night.config)
    served_id = stands.served.encoder_id if stands.served else None
    if reason is None:
        return {"trained": False, "encoder_id": served_id}
    versions = {table: night.warehouse.version(table) or 0 for table in retraining.TRAINED_ON}
    encoder_id = retraining.encoder_id(night.as_of, base_model, night.config, versions, served_id)
    if night.warehouse.read("encoders", ["encoder_id"], where=f"encoder_id = '{encoder_id}'").num_rows:
        stood = "already trained by an earlier attempt at this night"
        return {"trained": False, "encoder_id": encoder_id, "reason": stood}
    data, interactions = _data(night, base_model)
    if data.pairs.num_rows < 2:
        raise PipelineError(
            f"only {data.pairs.num_rows} training pairs: too few to train on. A pair is a user's liked review of an item "
            "beside other liked ones; look at the tables user_histories and item_personas"
        )
    settled = settle(stands.row, reason, data, interactions, base_model, night.config.encoders)
    from persona_pipeline.encoder.fitting import fit_encoder
    from persona_pipeline.encoder.night_prior import night_prior

    prior = night_prior(night.warehouse, interactions, night.config, settled.config)
    encoder, metrics = fit_encoder(encoder_id, base_model, data, prior, reviews_digest(night.warehouse), settled.config)
    artefact = ARTEFACTS / encoder_id
    encoder.save(night.warehouse.root / artefact)
    row = {
        "encoder_id": encoder_id,
        "as_of": night.as_of,
        "artefact": str(artefact),
        "base_model": base_model,
        "text_version": TEXT_VERSION,
        "dimensions": len(encoder.persona_map),
        "config_digest": retraining.settings_digest(night.config),
        **settled.columns(),
        "pair_count": data.pairs.num_rows,
        "data_versions": [{"table": t, "version": v} for t, v in sorted(versions.items())],
        "metrics": [{"name": n, "value": v} for n, v in sorted(metrics.items())],
    }
    rows = pa.Table.from_pylist([row], schema=load_contract("encoders").arrow_schema())
    found = {"reason": reason, "verdict": settled.verdict, "reasons": settled.reasons, **metrics}
    written = [night.warehouse.upsert("encoders", rows).as_dict()]
    return {"trained": True, "encoder_id": encoder_id, **found, "written": written}


def _data(night: Night, base_model: str) -> tuple[retraining.TrainingData, Callable[[], Interactions]]:
    liked = night.config.training_pairs.min_liked_rating
    # All of them are read only where somebody asks: Spark reads the table itself.
    interactions = cache(partial(liked_interactions, night.warehouse, liked))
    return retraining.training_data(night.warehouse, base_model, liked), interactions


def _tuned(night: Night, base_model: str, held_out: Path) -> dict[str, Any]:
    from persona_pipeline.tuning import tuned_settings

    data, interactions = _data(night, base_model)
    settings, trials = tuned_settings(data, interactions(), pq.read_table(held_out), night.config.encoders)
    return {"settings": settings, "trials": [{**trial.settings, "ndcg@10": trial.ndcg} for trial in trials]}


if __name__ == "__main__":
    run("encoders", job, options)
