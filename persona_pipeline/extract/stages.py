"""Run the three stages of extraction: compute the rows of `review_aspects`, `item_summaries`, `item_personas`, and refusals.

To extract a part of the catalogue, a shard or a sample, pass `of_items` in place of the warehouse.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.extract.embedded.plain import plain_persona
from persona_pipeline.extract.evidence import item_evidence, review_text
from persona_pipeline.extract.identity import kept_rows, label, rows_with_ids
from persona_pipeline.extract.memoised import memoised
from persona_pipeline.extract.pending import (
    items_to_profile,
    items_to_summarise,
    reviews_to_read,
    still_verbatim,
    vanished,
)
from persona_pipeline.extract.types import (
    ASPECT_NAMES,
    Embed,
    ItemEvidence,
    ItemSummary,
    Persona,
    PersonaExtractor,
    Refusal,
    ReviewAspects,
    Stage,
)
from persona_pipeline.warehouse import Warehouse

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Extracted:
    """Result of one stage. `kept` rows are still valid, `made` are new; `refused` come with their extraction keys."""

    kept: pa.Table
    made: pa.Table
    asked: list[str]
    refused: list[tuple[Refusal, str]]

    @property
    def rows(self) -> pa.Table:
        """The rows the table should hold."""
        return pa.concat_tables([self.kept.cast(self.made.schema), self.made])


def of_items(warehouse: Warehouse, items: Iterable[str]) -> Warehouse:
    """Restrict the warehouse to these items."""
    wanted = pa.table({"item_id": pa.array(items, pa.string())})
    part = {
        table: warehouse.query(f"SELECT * FROM {table} SEMI JOIN wanted USING (item_id)", [table], wanted=wanted)
        for table in ("reviews", "items", "item_reviews")
    }
    return warehouse.holding(**part)


def review_aspects(warehouse: Warehouse, extractor: PersonaExtractor) -> Extracted:
    """Extract aspects of reviews that have none yet, or none still valid."""
    version = extractor.version("review_aspects")
    known, wanted = reviews_to_read(warehouse, version, extractor.reads)
    rows = wanted.to_pylist()
    made, refused = [], []
    for row, (aspects, refusals) in zip(rows, extractor.aspects([review_text(row) for row in rows]), strict=True):
        # No answer: an empty row without a key, which is asked again the next night.
        key = row["extraction_key"] if aspects else ""
        row_made = _aspect_row(row, aspects or ReviewAspects(row["review_id"]), extractor.source)
        made.append({**row_made, "extraction_key": key, "extractor_version": version})
        refused += [(refusal, row["extraction_key"]) for refusal in refusals]
    return Extracted(known, _arrow("review_aspects", made), [row["review_id"] for row in rows], refused)


def item_summaries(warehouse: Warehouse, extractor: PersonaExtractor, inherited: pa.Table) -> Extracted:
    """Summarise items that have no summary, or none still valid.

    An item without an answer keeps the summary of the parent release, `inherited`, and is asked about again the next
    night.
    """
    version = extractor.version("item_summaries")
    known, wanted = items_to_summarise(warehouse, version)
    rows = wanted.to_pylist()
    before = {row["item_id"]: row for row in _of(inherited, wanted["item_id"]).to_pylist()}
    made, refused = [], []
    for row, (summary, refusals) in zip(rows, extractor.summaries([item_evidence(row) for row in rows]), strict=True):
        said = summary or ItemSummary(row["item_id"], "", "none")
        row_made = {"item_id": said.item_id, "summary": said.summary, "summary_source": said.source}
        row_made |= {"extraction_key": row["extraction_key"] if summary else "", "extractor_version": version}
        last_good = None if summary else before.get(row["item_id"])
        made.append({**last_good, "extraction_key": ""} if last_good else row_made)
        refused += [(refusal, row["extraction_key"]) for refusal in refusals]
    return Extracted(known, _arrow("item_summaries", made), [row["item_id"] for row in rows], refused)


def item_personas(
    warehouse: Warehouse,
    extractor: PersonaExtractor,
    config: ExtractionConfig,
    inherited: pa.Table,
    as_of: date,
    embed: Embed,
) -> Extracted:
    """Extract personas of items whose evidence changed since the parent release, with stable ids.

    `inherited` are that release's rows. An item without an answer keeps its earlier personas whose quotes are still
    verbatim.
    """
    version = extractor.version("item_personas")
    unchanged, wanted = items_to_profile(warehouse, version, inherited, config.refresh_share)
    asked = wanted.to_pylist()
    earlier: dict[str, list[Row]] = {}
    inherited_of_asked = _of(inherited, wanted["item_id"])
    for persona in inherited_of_asked.to_pylist():
        earlier.setdefault(persona["item_id"], []).append(persona)
    outcomes: list[tuple[list[Persona], list[Refusal]]] = list(
        extractor.personas([item_evidence(row) for row in asked])
    )
    told = [
        _with_one_to_recommend(personas, item_evidence(row), config.max_personas)
        for row, (personas, _) in zip(asked, outcomes, strict=True)
    ]
    new = [label(p.name, p.description) for said in told for p in said]
    old = [label(row["name"], row["description"]) for before in earlier.values() for row in before]
    remembered = memoised(embed, [*new, *old] if old else [])
    stands = still_verbatim(warehouse, inherited_of_asked)
    rows: list[Row] = []
    refused = []
    for row, said, (personas, refusals) in zip(asked, told, outcomes, strict=True):
        item, key = row["item_id"], row["extraction_key"]
        before = earlier.get(item, [])
        last_good = kept_rows(before, stands, as_of) if refusals and not personas else []
        if any(kept["status"] == "current" for kept in last_good):
            rows += last_good
        else:
            if not said:
                refusals = [
                    *refusals,
                    Refusal(item, "no_evidence", "no usable sentence in its reviews and no metadata"),
                ]
            seen = sorted(e["review_id"] for e in row["evidence"])
            # Without an answer there is no key: it is asked again the next night.
            made_from = {"extraction_key": key if personas or not refusals else "", "extractor_version": version}
            made_from |= {"extracted_from": seen}
            rows += rows_with_ids(item, said, before, made_from, as_of, remembered, config.match_threshold)
        refused += [(refusal, key) for refusal in refusals]
    made = _arrow("item_personas", rows)
    gone = vanished(warehouse, inherited, as_of)
    return Extracted(
        unchanged,
        pa.concat_tables([made, gone.cast(made.schema)]),
        [row["item_id"] for row in asked],
        refused,
    )


def _with_one_to_recommend(personas: Sequence[Persona], item: ItemEvidence, most: int) -> list[Persona]:
    """Order disliking personas last; where all dislike, put a plain persona first; empty where the item has no text at all."""
    ordered = sorted(personas, key=lambda persona: persona.stance == "dislikes")
    if ordered and ordered[0].stance != "dislikes":
        return ordered
    plain = plain_persona(item)
    return [plain, *ordered][:most] if plain else []


def _aspect_row(review: Row, aspects: ReviewAspects, source: str) -> Row:
    return {
        **{column: review[column] for column in ("review_id", "item_id", "user_id")},
        **{name: aspects.texts.get(name) for name in ASPECT_NAMES},
        "evidence": [asdict(quote) for quote in aspects.evidence],
        "aspect_source": source,
    }


def _arrow(stage: Stage, rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=load_contract(stage).arrow_schema())


def _of(rows: pa.Table, items: pa.ChunkedArray) -> pa.Table:
    return rows.filter(pc.is_in(rows["item_id"], items))
