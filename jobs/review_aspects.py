"""Evidence reviews and recent interactions to `review_aspects`: four aspects of each, with the sentences they rest on."""

import argparse
from typing import Any

import pyarrow as pa

from jobs.runner import Night, run
from persona_pipeline.contracts import load_contract
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.extract.protocol import ASPECT_NAMES, ReviewAspects, ReviewText
from persona_pipeline.extract.quarantine import write_refusals
from persona_pipeline.extract.work import reviews_to_read
from persona_pipeline.text_embeddings import Embedder


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Extract what has no answer yet; keep the rest."""
    embedder = Embedder(night.config.text_embeddings, night.warehouse)
    extractor = make_extractor(night.config.extraction, embedder, night.warehouse, night.as_of)
    known, wanted = reviews_to_read(night.warehouse, extractor.version("review_aspects"))
    rows = wanted.to_pylist()
    reviews = [ReviewText(*(row[c] for c in ("review_id", "user_id", "item_id", "rating", "text"))) for row in rows]
    found, refused = [], []
    for row, (aspects, refusals) in zip(rows, extractor.aspects(reviews), strict=True):
        # No answer: an empty row without a key, which is asked again the next night.
        key = row["extraction_key"] if aspects else ""
        found.append(_row(row, aspects or ReviewAspects(row["review_id"]), key, extractor.source))
        refused += [(refusal, row["extraction_key"]) for refusal in refusals]
    extractor.close()
    new = pa.Table.from_pylist(found, schema=load_contract("review_aspects").arrow_schema())
    # Refusals first: killed in between, the rerun still counts these reviews as open, and writes both again.
    written = [
        write_refusals(night.warehouse, "review_aspects", [row["review_id"] for row in rows], refused),
        night.warehouse.replace("review_aspects", pa.concat_tables([known.cast(new.schema), new])),
    ]
    with_aspects = sum(bool(row["evidence"]) for row in found)
    return {
        "reviews": known.num_rows + new.num_rows,
        "extracted": new.num_rows,
        "extracted_with_aspects": with_aspects,
        "refused": len(refused),
        "embedded": embedder.embedded,
        **extractor.usage(),
        "written": [result.as_dict() for result in written],
    }


def _row(review: dict[str, Any], aspects: ReviewAspects, extraction_key: str, source: str) -> dict[str, Any]:
    return {
        **{column: review[column] for column in ("review_id", "item_id", "user_id")},
        "extraction_key": extraction_key,
        **{name: aspects.texts.get(name) for name in ASPECT_NAMES},
        "evidence": [{"aspect": q.aspect, "start": q.start, "end": q.end, "quote": q.quote} for q in aspects.evidence],
        "aspect_source": source,
    }


if __name__ == "__main__":
    run("review_aspects", job)
