"""What users do not want to see, on real files and Spark."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.blocks import parse_blocks, without_items
from persona_pipeline.sources.table_files import check_table
from persona_pipeline.sources.table_kinds import BLOCKS


def test_an_item_a_creator_or_a_category(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("user_id,item_id,creator,category\nana,capo,,\nana,,Fender,\nben,,,Picks\nana,capo,,\nben,harp,,\n")
    rows = parse_blocks(spark, check_table(path, BLOCKS))
    assert sorted(map(tuple, rows.collect())) == [
        ("ana", "creator", "Fender"), ("ana", "item", "capo"), ("ben", "category", "Picks"), ("ben", "item", "harp"),
    ]  # fmt: skip
    items = spark.createDataFrame(
        [("capo", "Fender", ["Music", "Picks"]), ("tuner", None, [])],
        "item_id string, creator string, categories array<string>",
    )
    assert without_items(rows, items) == 1  # the harp


def test_faulty_rows_are_named(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    path.write_text(
        '{"user_id": "ana", "item_id": "capo"}\n{"item_id": "capo"}\n{"user_id": "ana"}\n'
        '{"user_id": "ana", "item_id": "capo", "creator": "Fender"}\n{broken\n'
    )
    with pytest.raises(SourceError) as raised:
        parse_blocks(spark, check_table(path, BLOCKS))
    assert str(raised.value).splitlines()[1:] == [
        "  b.jsonl, line 2: missing_user_id; expected a user",
        "  b.jsonl, line 3: missing_block; expected an item_id, a creator or a category",
        "  b.jsonl, line 4: several_blocks 'capo, Fender'; expected one of item_id, creator and category; a row of its own for "
        "each",
        "  b.jsonl, line 5: not_json; expected a JSON object",
    ]


@pytest.mark.parametrize("text", ["", "[]", "user_id,item_id\n", "user_id,item_id\n,\n"])
def test_nobody_blocks_anything(spark: SparkSession, tmp_path: Path, text: str) -> None:
    (tmp_path / "b.jsonl").write_text(text)
    assert parse_blocks(spark, check_table(tmp_path / "b.jsonl", BLOCKS)).collect() == []


def test_a_file_that_blocks_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("user_id,brand\nana,Fender\n")
    with pytest.raises(SourceError, match="line 1: blocks need item_id, creator or category; found user_id, brand"):
        check_table(tmp_path / "b.csv", BLOCKS)
