"""`training_pairs` to `encoders`: train when the policy says so, else keep the encoder of the parent release."""

import argparse
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.runner import Night, run
from persona_pipeline.contracts import load_contract
from persona_pipeline.encoder import retraining
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.prior import liked_interactions
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.errors import PipelineError
from persona_pipeline.provenance import reviews_digest
from persona_pipeline.text_embeddings import Embedder

ARTEFACTS = Path("_artefacts") / "encoders"


def options(parser: argparse.ArgumentParser) -> None:
    """Arguments of this job alone."""
    told = "Parquet of user_id, item_id the night does not know: choose settings, train nothing"
    parser.add_argument("--held-out", type=Path, help=told)


def job(night: Night, arguments: argparse.Namespace) -> dict[str, Any]:
    """Decide, train and register."""
    base_model = Embedder(night.config.text_embeddings, night.warehouse).base_model
    if arguments.held_out:
        return _tuned(night, base_model, arguments.held_out)
    served = _served(night)
    reason = retraining.reason_to_train(served, night.as_of, base_model, night.config)
    if reason is None and served is not None:
        return {"trained": False, "encoder_id": served.encoder_id}
    versions = {table: night.warehouse.version(table) or 0 for table in retraining.TRAINED_ON}
    encoder_id = retraining.encoder_id(night.as_of, base_model, night.config, versions)
    if night.warehouse.read("encoders", ["encoder_id"], where=f"encoder_id = '{encoder_id}'").num_rows:
        stood = "already trained by an earlier attempt at this night"
        return {"trained": False, "encoder_id": encoder_id, "reason": stood}
    data = retraining.training_data(night.warehouse, base_model, night.config.training_pairs.min_liked_rating)
    if data.pairs.num_rows < 2:
        raise PipelineError(
            f"only {data.pairs.num_rows} training pairs: too few to train on. A pair is a user's liked review of an item "
            "beside other liked ones; look at the tables user_histories and item_personas"
        )
    encoder, metrics = _trained(night, encoder_id, base_model, data)
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
        "pair_count": data.pairs.num_rows,
        "data_versions": [{"table": t, "version": v} for t, v in sorted(versions.items())],
        "metrics": [{"name": n, "value": v} for n, v in sorted(metrics.items())],
    }
    result = night.warehouse.upsert(
        "encoders", pa.Table.from_pylist([row], schema=load_contract("encoders").arrow_schema())
    )
    return {"trained": True, "encoder_id": encoder_id, "reason": reason, **metrics, "written": [result.as_dict()]}


def _served(night: Night) -> retraining.Served | None:
    if night.parent is None:
        return None
    columns = ["encoder_id", "as_of", "base_model", "text_version", "config_digest"]
    rows = night.warehouse.read("encoders", columns, where=f"encoder_id = '{night.parent.encoder_id}'").to_pylist()
    return retraining.Served(**rows[0]) if rows else None


def _trained(
    night: Night, encoder_id: str, base_model: str, data: retraining.TrainingData
) -> tuple[Encoder, dict[str, float]]:
    from persona_pipeline.encoder.fitting import fit_encoder

    interactions = liked_interactions(night.warehouse, night.config.training_pairs.min_liked_rating)
    digest = reviews_digest(night.warehouse)
    return fit_encoder(encoder_id, base_model, data, interactions, digest, night.config.encoders)


def _tuned(night: Night, base_model: str, held_out: Path) -> dict[str, Any]:
    from persona_pipeline.tuning import tuned_settings

    liked = night.config.training_pairs.min_liked_rating
    data = retraining.training_data(night.warehouse, base_model, liked)
    interactions = liked_interactions(night.warehouse, liked)
    settings, trials = tuned_settings(data, interactions, pq.read_table(held_out), night.config.encoders)
    return {"settings": settings, "trials": [{**trial.settings, "ndcg@10": trial.ndcg} for trial in trials]}


if __name__ == "__main__":
    run("encoders", job, options)
