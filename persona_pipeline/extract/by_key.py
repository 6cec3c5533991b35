"""Run the stages of extraction over the whole catalogue, bucket after bucket of reviews or items, and commit what they changed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.extract import stages
from persona_pipeline.extract.quarantine import write_refusals
from persona_pipeline.extract.stages import Extracted
from persona_pipeline.extract.types import PersonaExtractor, Refusal, Stage
from persona_pipeline.keyed import Keyed, Part, Source
from persona_pipeline.warehouse import WriteResult
from persona_pipeline.warehouse.changes import Change

Figures = dict[str, int]
Extract = Callable[[Part], tuple[Extracted, Figures]]

_INHERITED = "inherited"
_SHARE = 4  # of `keyed.bucket_bytes`: what is parsed takes some fifteen times its stored bytes as Python's objects

_REVIEWS = Source("reviews", "review_id", ("review_id", "user_id", "item_id", "rating", "title", "text"))
_IN_EVIDENCE = Source(
    "item_reviews",
    "review_id",
    ("evidence",),
    "SELECT review_id, [{'review_id': review_id}] AS evidence FROM (SELECT unnest(evidence).review_id AS review_id FROM rows)",
)
_IN_HISTORIES = Source(
    "user_histories",
    "review_id",
    ("interactions",),
    "SELECT review_id, [{'review_id': review_id}] AS interactions "
    "FROM (SELECT unnest(interactions).review_id AS review_id FROM rows) WHERE review_id IS NOT NULL",
)
_ITEMS = Source("items", "item_id", ("item_id", "title", "creator", "description", "categories"))
_ITEM_REVIEWS = Source("item_reviews", "item_id", ("item_id", "evidence"))


class CountingEmbed(Protocol):
    """An `Embed` that counts what it embedded."""

    embedded: int

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of texts, (n, d)."""
        ...


@dataclass(frozen=True)
class Extractors:
    """The extractor of each bucket: one for all that this process works on; another process makes its own, which asks no engine.

    Attributes:
        make: with `engine` whether an LLM may be asked.
        embedder: that they embed with.
        here: of this process; None in another.
    """

    make: Callable[..., PersonaExtractor]
    embedder: CountingEmbed
    here: PersonaExtractor | None = None

    def __call__(self) -> PersonaExtractor:
        """Return the extractor."""
        return self.here or self.make(engine=False)

    def __reduce__(self) -> tuple[type["Extractors"], tuple[Callable[..., PersonaExtractor], CountingEmbed]]:
        return Extractors, (self.make, self.embedder)


@dataclass(frozen=True)
class Counts:
    """What a stage did: writes, subjects extracted and refused, texts embedded, figures of its own, and usage of an LLM."""

    written: list[WriteResult]
    extracted: int
    refused: int
    embedded: int
    figures: Figures
    usage: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Convert for a job's JSON summary."""
        counts = {"extracted": self.extracted, "refused": self.refused, "embedded": self.embedded}
        return {**self.figures, **counts, **self.usage, "written": [result.as_dict() for result in self.written]}


@dataclass(frozen=True)
class _Bucket:
    change: Change
    asked: str
    extracted: int
    refused: list[tuple[Refusal, str]]
    embedded: int
    figures: Figures


def review_aspects(keyed: Keyed, extractors: Extractors) -> Counts:
    """Extract aspects of reviews that have none yet, or none still valid."""
    sources = (_REVIEWS, _IN_EVIDENCE, _IN_HISTORIES, Source("review_aspects", "review_id"))
    return _over(keyed, "review_aspects", extractors, sources, partial(_aspects, extractors))


def item_summaries(keyed: Keyed, extractors: Extractors, parent: int | None) -> Counts:
    """Summarise items without a summary, or none still valid; `parent` is the version of the table in the parent release."""
    sources = (_ITEMS, _ITEM_REVIEWS, Source("item_summaries", "item_id"), *_inherited("item_summaries", parent))
    return _over(keyed, "item_summaries", extractors, sources, partial(_summaries, extractors, parent))


def item_personas(
    keyed: Keyed, extractors: Extractors, config: ExtractionConfig, parent: int | None, as_of: date
) -> Counts:
    """Extract personas where the evidence changed since the parent release, in which the table has the version `parent`."""
    inherited, nobody = _inherited("item_personas", parent), load_contract("item_personas").arrow_schema().empty_table()
    # Of each what may be needed alone: an item may have been reviewed by everybody.
    aspects = keyed.query(
        "SELECT * FROM review_aspects SEMI JOIN (SELECT unnest(evidence).review_id AS review_id FROM item_reviews) "
        "AS chosen USING (review_id)",
        ["review_aspects", "item_reviews"],
    )
    quoted = keyed.query(
        "SELECT review_id, item_id, text FROM reviews SEMI JOIN (SELECT ref AS review_id FROM "
        "(SELECT unnest(evidence, recursive := true) FROM personas WHERE status = 'current') WHERE kind = 'review') "
        "AS cited USING (review_id)",
        ["reviews"],
        personas=inherited[0].dataset(keyed.warehouse) if inherited else nobody,
    )
    sources = (
        _ITEMS,
        _ITEM_REVIEWS,
        Source("item_summaries", "item_id"),
        Source("review_aspects", "item_id", made=aspects),
        Source("reviews", "item_id", made=quoted),
        Source("item_personas", "item_id"),
        *inherited,
    )
    return _over(keyed, "item_personas", extractors, sources, partial(_personas, extractors, config, parent, as_of))


def _over(keyed: Keyed, stage: Stage, extractors: Extractors, sources: Iterable[Source], extract: Extract) -> Counts:
    base = keyed.warehouse.version(stage)
    work = partial(_bucket, stage, extract, keyed.folder(), extractors.embedder)
    found = list(keyed.each(tuple(sources), work, bucket_bytes=max(1, keyed.config.bucket_bytes // _SHARE)))
    if extractors.here:
        extractors.here.close()
    refused = [refusal for bucket in found for refusal in bucket.refused]
    # Refusals first: killed in between, the rerun still counts their subjects as open, and writes both again.
    written = [
        write_refusals(keyed.warehouse, stage, ds.dataset([bucket.asked for bucket in found]), refused),
        keyed.warehouse.commit_changes(stage, [bucket.change for bucket in found], base),
    ]
    figures = {name: sum(bucket.figures[name] for bucket in found) for name in found[0].figures}
    return Counts(
        written,
        sum(bucket.extracted for bucket in found),
        len(refused),
        sum(bucket.embedded for bucket in found),
        figures,
        extractors.here.usage() if extractors.here else {},
    )


def _bucket(stage: Stage, extract: Extract, folder: Path, embedder: CountingEmbed, part: Part) -> _Bucket:
    before = embedder.embedded
    found, figures = extract(part)
    asked = folder / f"{part.number}.parquet"
    pq.write_table(pa.table({"subject": pa.array(found.asked, pa.string())}), asked)
    change = part.change_to(stage, found.rows)
    return _Bucket(change, str(asked), len(found.asked), found.refused, embedder.embedded - before, figures)


def _aspects(extractors: Extractors, part: Part) -> tuple[Extracted, Figures]:
    found = stages.review_aspects(part.rows, extractors())
    with_aspects = pc.sum(pc.greater(pc.list_value_length(found.made["evidence"]), 0)).as_py() or 0
    return found, {"reviews": found.rows.num_rows, "extracted_with_aspects": with_aspects}


def _summaries(extractors: Extractors, parent: int | None, part: Part) -> tuple[Extracted, Figures]:
    found = stages.item_summaries(part.rows, extractors(), _inherited_rows(part, "item_summaries", parent))
    return found, {"items": found.rows.num_rows}


def _personas(
    extractors: Extractors, config: ExtractionConfig, parent: int | None, as_of: date, part: Part
) -> tuple[Extracted, Figures]:
    inherited = _inherited_rows(part, "item_personas", parent)
    found = stages.item_personas(part.rows, extractors(), config, inherited, as_of, extractors.embedder)
    return found, {
        "items": len(found.asked) + len(pc.unique(found.kept["item_id"])),
        "personas": pc.sum(pc.equal(found.made["status"], "current")).as_py() or 0,
        "retired": pc.sum(pc.equal(found.made["retired_as_of"], as_of)).as_py() or 0,
    }


def _inherited(table: str, parent: int | None) -> tuple[Source, ...]:
    return () if parent is None else (Source(table, "item_id", version=parent, name=_INHERITED),)


def _inherited_rows(part: Part, table: str, parent: int | None) -> pa.Table:
    """A bucket's rows of the parent release, in the contract's types; none on a first night."""
    schema = load_contract(table).arrow_schema()
    return schema.empty_table() if parent is None else part.rows.dataset(_INHERITED).cast(schema)
