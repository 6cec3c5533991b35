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
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.extract import stages
from persona_pipeline.extract.evidence import item_evidence, review_text
from persona_pipeline.extract.llm.extractor import LlmExtractor
from persona_pipeline.extract.llm.usage import Usage
from persona_pipeline.extract.pending import items_to_profile, items_to_summarise, reviews_to_read
from persona_pipeline.warehouse import Warehouse


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


def write_shards(warehouse: Warehouse, run_id: str, shards: list[list[str]]) -> Path:
    """Write a run's assignment atomically; returns its file."""
    path = _path(warehouse, run_id)
    rows = [(number, item) for number, items in enumerate(shards) for item in items]
    table = pa.table(
        {
            "shard": pa.array([number for number, _ in rows], pa.int32()),
            "item_id": pa.array([item for _, item in rows], pa.string()),
        }
    )
    with atomic_file(path) as partial:
        pq.write_table(table, partial)
    return path


def read_shard(warehouse: Warehouse, run_id: str, shard: int) -> list[str]:
    """Items of one shard. Raises PipelineError where the run has no such shard."""
    path = _path(warehouse, run_id)
    if not path.is_file():
        raise PipelineError(f"no shards at {path}; run the extraction_plan task first")
    items: list[str] = pq.read_table(path, filters=[("shard", "=", shard)])["item_id"].to_pylist()
    if not items:
        raise PipelineError(f"shard {shard}: {path} has none of that number; run the extraction_plan task again")
    return items


def ask_shard(
    warehouse: Warehouse,
    extractor: LlmExtractor,
    config: ExtractionConfig,
    parent_personas: pa.Table,
    parent_summaries: pa.Table,
    items: list[str],
) -> None:
    """Fill the response cache with every response the three stages will look for about these items."""
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
    version = extractor.version("item_personas")
    wanted = items_to_profile(part, version, parent_personas, config.refresh_share)[1].to_pylist()
    extractor.ask_ahead_personas([item_evidence(row) for row in wanted])


def _path(warehouse: Warehouse, run_id: str) -> Path:
    return warehouse.root / "_shards" / f"{run_id}.parquet"
