"""Items to shards: all of them, balanced, and no more engines than are worth their start."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.extract.llm.shards import TABLE, assign, items_of_shard, plan_rows
from persona_pipeline.warehouse import Warehouse


def test_small_nights_start_one_engine_and_large_ones_no_more_than_allowed() -> None:
    tokens = {f"i{n}": 100 for n in range(10)}
    assert [len(assign(tokens, 8, per_shard)) for per_shard in (10_000, 1_000, 999, 300, 1)] == [1, 1, 2, 4, 8]
    assert len(assign({"i1": 10**9}, 8, 1)) == 1  # an item is not split
    assert assign({}, 8, 1) == []


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 10**6), min_size=1, max_size=60), st.integers(1, 64))
def test_every_item_is_in_one_shard_and_no_shard_is_much_too_large(tokens: dict[str, int], most: int) -> None:
    shards = assign(tokens, most, 1)
    assert sorted(item for shard in shards for item in shard) == sorted(tokens)
    assert all(shards)
    largest = max(sum(tokens[item] for item in shard) for shard in shards)
    mean = sum(tokens.values()) / len(shards)
    assert largest <= mean + max(tokens.values())


def test_a_shard_reads_its_own_items(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    with pytest.raises(PipelineError, match="run the extraction_plan task first"):
        items_of_shard(warehouse, 0)
    warehouse.replace(TABLE, plan_rows([["c", "a"], ["b"]], {"a": 1, "b": 2, "c": 3}))
    assert [items_of_shard(warehouse, shard) for shard in (0, 1)] == [["a", "c"], ["b"]]
    with pytest.raises(PipelineError, match=r"shard 2: the table extraction_plan has none of that number"):
        items_of_shard(warehouse, 2)
    assert warehouse.read(TABLE)["tokens"].to_pylist() == [1, 2, 3]
