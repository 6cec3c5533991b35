"""Split a run's LLM requests into shards of items, one engine each, and send a shard's requests into the response cache.

A shard only fills the response cache. Reviews belong to one item, so the inputs of an item's personas are answered in
its own shard, and one engine goes through all three stages without waiting for another. The stages' own tasks find
every response cached: each is the one committer of its table.

Two items in different shards may have a review with the same text and rating, which each shard then requests unless the
other's response is cached by then. The cache keeps one response. Should the other have read otherwise, the personas it
requested are not the ones the committer looks for; the item keeps its earlier ones, and the next plan requests it
again.
"""

import heapq
from collections.abc import Mapping, Sequence

import pyarrow as pa

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.extract import stages
from persona_pipeline.extract.evidence import item_evidence, review_text
from persona_pipeline.extract.llm.extractor import LlmExtractor
from persona_pipeline.extract.llm.usage import Usage
from persona_pipeline.extract.pending import items_to_profile, items_to_summarise, reviews_to_read
from persona_pipeline.extract.types import PersonaExtractor
from persona_pipeline.warehouse import Warehouse

TABLE = "extraction_plan"


def assign(tokens_of_item: Mapping[str, int], max_shards: int, shard_tokens: int) -> list[list[str]]:
    """Assign items to shards: as few as hold `shard_tokens` each, `max_shards` at most; none where nothing is to be requested.

    The largest item first, each to the shard with the fewest tokens: no shard exceeds the best possible largest one by
    more than a third (Graham, 1969). O(n log n).
    """
    wanted = -(-sum(tokens_of_item.values()) // shard_tokens)
    count = min(wanted, max_shards, len(tokens_of_item))
    lightest = [(0, shard) for shard in range(count)]
    shards: list[list[str]] = [[] for _ in lightest]
    for item, tokens in sorted(tokens_of_item.items(), key=lambda entry: (-entry[1], entry[0])):
        load, shard = heapq.heappop(lightest)
        shards[shard].append(item)
        heapq.heappush(lightest, (load + tokens, shard))
    return shards


def plan_rows(shards: Sequence[Sequence[str]], tokens_of_item: Mapping[str, int]) -> pa.Table:
    """Rows of `extraction_plan`: each item with its shard and its tokens."""
    rows = [
        {"item_id": item, "shard": shard, "tokens": tokens_of_item[item]}
        for shard, items in enumerate(shards)
        for item in items
    ]
    return pa.Table.from_pylist(rows, schema=load_contract(TABLE).arrow_schema())


def items_of_shard(warehouse: Warehouse, shard: int) -> list[str]:
    """Items of one shard, in order. Raises PipelineError where `extraction_plan` has no such shard."""
    sql = f"SELECT item_id FROM {TABLE} WHERE shard = $shard ORDER BY item_id"
    items: list[str] = warehouse.query(sql, [TABLE], {"shard": shard})["item_id"].to_pylist()
    if not items:
        raise PipelineError(f"shard {shard}: the table {TABLE} has none of that number; run the {TABLE} task first")
    return items


def ask_shard(
    warehouse: Warehouse,
    extractor: LlmExtractor,
    whole: PersonaExtractor,
    config: ExtractionConfig,
    parent_personas: pa.Table,
    parent_summaries: pa.Table,
    items: list[str],
) -> None:
    """Fill the response cache with every response the three stages will look for about these items.

    `whole` is the extractor of the task `item_personas`, which may take some personas from elsewhere.
    """
    part = stages.of_items(warehouse, items)
    reviews = reviews_to_read(part, extractor.version("review_aspects"), extractor.reads)[1].to_pylist()
    untold = items_to_summarise(part, extractor.version("item_summaries"))[1].to_pylist()
    extractor.ask_ahead([review_text(row) for row in reviews], [item_evidence(row) for row in untold])
    asked, extractor.client.usage = (
        extractor.client.usage,
        Usage(),
    )  # cached responses were counted when requested
    part = part.holding(review_aspects=stages.review_aspects(part, extractor).rows)
    part = part.holding(item_summaries=stages.item_summaries(part, extractor, parent_summaries).rows)
    extractor.client.usage = asked
    version = whole.version("item_personas")
    wanted = items_to_profile(part, version, parent_personas, config.refresh_share)[1].to_pylist()
    extractor.ask_ahead_personas([item_evidence(row) for row in wanted if row["item_id"] not in whole.ready])
