"""Metadata, else evidence, to `item_summaries`: what each item is."""

import argparse
from typing import Any

import pyarrow as pa

from jobs.runner import Night, run
from persona_pipeline.contracts import load_contract
from persona_pipeline.extract.extractors import item_evidence, make_extractor
from persona_pipeline.extract.protocol import ItemSummary
from persona_pipeline.extract.quarantine import write_refusals
from persona_pipeline.extract.work import evidence_texts, items_to_summarise
from persona_pipeline.text_embeddings import Embedder


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Summarise what has no answer yet; keep the rest."""
    embedder = Embedder(night.config.text_embeddings, night.warehouse)
    warehouse = night.warehouse
    extractor = make_extractor(
        night.config.extraction, embedder, warehouse, night.as_of, lambda: evidence_texts(warehouse)
    )
    known, wanted = items_to_summarise(warehouse, extractor.version("item_summaries"))
    rows = wanted.to_pylist()
    found, refused = [], []
    for row, (summary, refusals) in zip(rows, extractor.summaries([item_evidence(row) for row in rows]), strict=True):
        # No answer: no summary and no key, so that it is asked again the next night.
        key = row["extraction_key"] if summary else ""
        said = summary or ItemSummary(row["item_id"], "", "none")
        found.append({"item_id": row["item_id"], "summary": said.summary, "summary_source": said.source})
        found[-1]["extraction_key"] = key
        refused += [(refusal, row["extraction_key"]) for refusal in refusals]
    extractor.close()
    new = pa.Table.from_pylist(found, schema=load_contract("item_summaries").arrow_schema())
    written = [
        warehouse.replace("item_summaries", pa.concat_tables([known.cast(new.schema), new])),
        write_refusals(warehouse, "item_summaries", [row["item_id"] for row in rows], refused),
    ]
    return {
        "items": known.num_rows + new.num_rows,
        "extracted": new.num_rows,
        "refused": len(refused),
        "embedded": embedder.embedded,
        **extractor.usage(),
        "written": [result.as_dict() for result in written],
    }


if __name__ == "__main__":
    run("item_summaries", job)
