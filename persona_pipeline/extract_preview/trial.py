"""Run extraction in memory on some subjects under a configuration: the LLM requests, and the rows its stages would write.

Rows other nights extracted are not taken over, so the outcome follows from the configuration, the evidence and the
response cache. No table changes but the two caches: `llm_calls`, and `text_embeddings`.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.extract import stages
from persona_pipeline.extract.llm.extractor import LlmExtractor
from persona_pipeline.extract.llm.persona_verdicts import Verdict
from persona_pipeline.extract.llm.plan import ExtractionPlan, Planner
from persona_pipeline.extract.llm.usage import Usage
from persona_pipeline.extract.stages import Extracted
from persona_pipeline.extract.types import Embed, Stage
from persona_pipeline.warehouse import Warehouse

STAGES: tuple[Stage, ...] = ("review_aspects", "item_summaries", "item_personas")

Subjects = Mapping[Stage, AbstractSet[str]]
"""Reviews to read, items to summarise, items to profile. An item's personas bring its evidence and its summary with them."""


@dataclass(frozen=True, slots=True)
class ExtractionTrial:
    """Results of a trial: rows and usage by stage, and counts of the verdicts on the replies' personas."""

    extracted: dict[Stage, Extracted]
    usage: dict[Stage, Usage]
    verdicts: Mapping[Verdict, int]


def plan_trial(
    warehouse: Warehouse, extractor: LlmExtractor, subjects: Subjects, summaries: pa.Table
) -> ExtractionPlan:
    """Plan the requests of `run_trial`. No engine is started; the arguments are the same."""
    planner = Planner(extractor)
    part = stages.of_items(planner.add_reviews(_untouched(warehouse, subjects)), _summarised(subjects))
    part = stages.of_items(planner.add_summaries(part, summaries), subjects["item_personas"])
    planner.add_personas(part, _empty("item_personas"), 0)
    return planner.plan()


def run_trial(
    warehouse: Warehouse,
    extractor: LlmExtractor,
    subjects: Subjects,
    summaries: pa.Table,
    config: ExtractionConfig,
    as_of: date,
    embed: Embed,
) -> ExtractionTrial:
    """Extract the subjects in memory, requesting only uncached responses.

    Args:
        warehouse: holds the evidence.
        extractor: whose results they are; must not be used for other stages meanwhile.
        subjects: to extract.
        summaries: `item_summaries` of the parent release, which an item without an answer keeps.
        config, as_of, embed: as for a night.
    """
    usage: dict[Stage, Usage] = {}

    def counted(stage: Stage) -> None:
        usage[stage] = extractor.client.usage = Usage()

    part = _untouched(warehouse, subjects)
    counted("review_aspects")
    aspects = stages.review_aspects(part, extractor)
    part = stages.of_items(part, _summarised(subjects))
    counted("item_summaries")
    told = stages.item_summaries(part, extractor, summaries)
    part = stages.of_items(part, subjects["item_personas"])
    part = part.holding(review_aspects=aspects.rows, item_summaries=told.rows)
    counted("item_personas")
    personas = stages.item_personas(part, extractor, config, _empty("item_personas"), as_of, embed)
    made: dict[Stage, Extracted] = {"review_aspects": aspects, "item_summaries": told, "item_personas": personas}
    return ExtractionTrial(made, usage, dict(extractor.verdicts))


def _untouched(warehouse: Warehouse, subjects: Subjects) -> Warehouse:
    """The warehouse without any extracted rows, restricted to the subjects' reviews."""
    reviews = warehouse.query(
        "SELECT * FROM reviews WHERE review_id IN (FROM read) OR review_id IN "
        "(SELECT unnest(evidence).review_id FROM item_reviews WHERE item_id IN (FROM profiled))",
        ["reviews", "item_reviews"],
        read=pa.table({"review_id": _ids(subjects["review_aspects"])}),
        profiled=pa.table({"item_id": _ids(subjects["item_personas"])}),
    )
    empty = {table: _empty(table) for table in ("review_aspects", "item_summaries")}
    return warehouse.holding(reviews=reviews, **empty)


def _summarised(subjects: Subjects) -> AbstractSet[str]:
    return subjects["item_summaries"] | subjects["item_personas"]


def _ids(ids: Iterable[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(sorted(ids), pa.string())])


def _empty(table: str) -> pa.Table:
    return load_contract(table).arrow_schema().empty_table()
