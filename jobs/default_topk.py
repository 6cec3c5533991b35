"""Popularity and personas to a candidate of `default_topk`."""

import argparse
from typing import Any

from jobs.runner import Night, run
from persona_pipeline.encoder.vectors import tonights_encoder
from persona_pipeline.publish.candidates import candidates
from persona_pipeline.score.default import default_topk


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Rank by popularity and write beside the published table."""
    encoder = tonights_encoder(night.warehouse, night.encoder_id())
    before = night.parent.versions["default_topk"] if night.parent else None
    rows = default_topk(night.warehouse, encoder, night.config.user_item_topk.k, night.as_of, before)
    return {"candidate": candidates(night.warehouse).replace("default_topk", rows).as_dict()}


if __name__ == "__main__":
    run("default_topk", job)
