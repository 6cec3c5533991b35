"""Evidence and summaries to `item_personas`, refused outputs to `quarantine`; only items whose evidence changed are asked again."""

import argparse
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.runner import Night, run
from persona_pipeline.contracts import load_contract
from persona_pipeline.extract.extractors import item_evidence, make_extractor
from persona_pipeline.extract.identity import kept_rows, label, rows_with_ids
from persona_pipeline.extract.quarantine import write_refusals
from persona_pipeline.extract.remembering import remembering
from persona_pipeline.extract.work import evidence_texts, items_to_profile, standing, vanished
from persona_pipeline.text_embeddings import Embedder


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Extract personas where the evidence changed since the parent release, with ids that survive; keep the rest."""
    config, warehouse = night.config.extraction, night.warehouse
    schema = load_contract("item_personas").arrow_schema()
    parent = schema.empty_table()
    if night.parent:
        parent = warehouse.read("item_personas", version=night.parent.versions["item_personas"]).cast(schema)
    embedder = Embedder(night.config.text_embeddings, warehouse)
    extractor = make_extractor(config, embedder, warehouse, night.as_of, lambda: evidence_texts(warehouse))
    unchanged, wanted = items_to_profile(warehouse, extractor.version("item_personas"), parent)
    earlier: dict[str, list[dict[str, Any]]] = {}
    for persona in parent.filter(pc.is_in(parent["item_id"], wanted["item_id"])).to_pylist():
        earlier.setdefault(persona["item_id"], []).append(persona)
    rows, refused = [], []
    asked = wanted.to_pylist()
    outcomes = list(extractor.personas([item_evidence(row) for row in asked]))
    extractor.close()
    new = [label(p.name, p.description) for personas, _ in outcomes for p in personas]
    old = [label(row["name"], row["description"]) for before in earlier.values() for row in before]
    embed = remembering(embedder, [*new, *old] if old else [])
    stands = standing(warehouse, parent.filter(pc.is_in(parent["item_id"], wanted["item_id"])))
    for row, (personas, refusals) in zip(asked, outcomes, strict=True):
        item, key = row["item_id"], row["extraction_key"]
        before = earlier.get(item, [])
        if personas:
            rows += rows_with_ids(item, personas, before, key, night.as_of, embed, config.match_threshold)
        else:
            rows += kept_rows(before, stands, night.as_of)
        refused += [(refusal, key) for refusal in refusals]
    made = pa.Table.from_pylist(rows, schema=schema)
    gone = vanished(warehouse, parent, night.as_of)
    written = [
        warehouse.replace("item_personas", pa.concat_tables([unchanged.cast(schema), made, gone.cast(schema)])),
        write_refusals(warehouse, "item_personas", [row["item_id"] for row in asked], refused),
    ]
    return {
        "items": len(asked) + len(set(unchanged["item_id"].to_pylist())),
        "extracted": len(asked),
        "personas": sum(row["status"] == "current" for row in rows),
        "retired": sum(row["retired_as_of"] == night.as_of for row in rows) + gone.num_rows,
        "refused": len(refused),
        "embedded": embedder.embedded,
        **extractor.usage(),
        "written": [result.as_dict() for result in written],
    }


if __name__ == "__main__":
    run("item_personas", job)
