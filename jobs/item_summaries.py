"""Metadata, else evidence, to `item_summaries`: what each item is."""

import argparse
from typing import Any

import pyarrow as pa

from jobs.runner import Night, run
from persona_pipeline.contracts import load_contract
from persona_pipeline.extract.extractors import item_evidence, make_extractor
from persona_pipeline.extract.work import evidence_texts, items_to_summarise
from persona_pipeline.text_embeddings import Embedder


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Summarise what has no answer yet; keep the rest."""
    embedder = Embedder(night.config.text_embeddings, night.warehouse)
    extractor = make_extractor(night.config.extraction, embedder)
    known, wanted = items_to_summarise(night.warehouse, extractor.version)
    if wanted.num_rows:
        extractor = make_extractor(night.config.extraction, embedder, evidence_texts(night.warehouse))
    rows = wanted.to_pylist()
    summaries = extractor.summaries([item_evidence(row) for row in rows])
    found = [
        {
            "item_id": row["item_id"],
            "summary": summary.summary,
            "summary_source": summary.source,
            "extraction_key": row["extraction_key"],
        }
        for row, summary in zip(rows, summaries, strict=True)
    ]
    new = pa.Table.from_pylist(found, schema=load_contract("item_summaries").arrow_schema())
    result = night.warehouse.replace("item_summaries", pa.concat_tables([known.cast(new.schema), new]))
    return {
        "items": known.num_rows + new.num_rows,
        "extracted": new.num_rows,
        "embedded": embedder.embedded,
        "written": [result.as_dict()],
    }


if __name__ == "__main__":
    run("item_summaries", job)
