"""Evidence reviews and recent interactions to `review_aspects`: four aspects of each, with the sentences they rest on."""

import argparse
from typing import Any

import pyarrow as pa

from jobs.runner import Night, run
from persona_pipeline.contracts import load_contract
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.extract.protocol import ASPECT_NAMES, ReviewAspects, ReviewText
from persona_pipeline.extract.work import reviews_to_read
from persona_pipeline.text_embeddings import Embedder


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Extract what has no answer yet; keep the rest."""
    embedder = Embedder(night.config.text_embeddings, night.warehouse)
    extractor = make_extractor(night.config.extraction, embedder)
    known, wanted = reviews_to_read(night.warehouse, extractor.version)
    rows = wanted.to_pylist()
    reviews = [ReviewText(*(row[c] for c in ("review_id", "user_id", "item_id", "rating", "text"))) for row in rows]
    source = night.config.extraction.aspect_source
    found = [_row(row, aspects, source) for row, aspects in zip(rows, extractor.aspects(reviews), strict=True)]
    new = pa.Table.from_pylist(found, schema=load_contract("review_aspects").arrow_schema())
    result = night.warehouse.replace("review_aspects", pa.concat_tables([known.cast(new.schema), new]))
    with_aspects = sum(bool(row["evidence"]) for row in found)
    return {
        "reviews": known.num_rows + new.num_rows,
        "extracted": new.num_rows,
        "extracted_with_aspects": with_aspects,
        "embedded": embedder.embedded,
        "written": [result.as_dict()],
    }


def _row(review: dict[str, Any], aspects: ReviewAspects, source: str) -> dict[str, Any]:
    return {
        **{column: review[column] for column in ("review_id", "item_id", "user_id", "extraction_key")},
        **{name: aspects.texts.get(name) for name in ASPECT_NAMES},
        "evidence": [{"aspect": q.aspect, "start": q.start, "end": q.end, "quote": q.quote} for q in aspects.evidence],
        "aspect_source": source,
    }


if __name__ == "__main__":
    run("review_aspects", job)
