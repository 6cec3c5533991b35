"""Three engines call an item the same."""

from typing import TYPE_CHECKING

import duckdb
import pytest

from persona_pipeline.core.item_titles import item_title, title_sql

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CASES = [
    ("Capo", "A capo. It is light.", "Capo"),
    ("Capo", None, "Capo"),
    (None, "A capo. It is light. It holds.", "A capo"),
    (None, "A capo.", "A capo."),
    (None, "A 2.5 mm pick.Thin", "A 2.5 mm pick.Thin"),
    (None, ". Nothing before", None),
    (None, "", None),
    (None, None, None),
    ("", "A capo. It is light.", ""),  # metadata is never cleaned to nothing but null
]


@pytest.mark.parametrize(("title", "summary", "told"), CASES)
def test_by_hand(title: str | None, summary: str | None, told: str | None) -> None:
    assert item_title(title, summary) == told


def test_sql_says_the_same(spark: "SparkSession") -> None:
    from pyspark.sql import functions as F

    rows = [(place, title, summary) for place, (title, summary, _) in enumerate(CASES)]
    told = [item_title(title, summary) for _, title, summary in rows]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE met (place INTEGER, title VARCHAR, summary VARCHAR)")
        connection.executemany("INSERT INTO met VALUES (?, ?, ?)", rows)
        found = connection.sql(f"SELECT {title_sql()} FROM met ORDER BY place").fetchall()
        assert [row[0] for row in found] == told
        renamed = connection.sql(f"SELECT {title_sql('m.title', 'm.summary')} FROM met AS m ORDER BY place").fetchall()
        assert renamed == found
    frame = spark.createDataFrame(rows, "place int, title string, summary string").orderBy("place")
    assert [row["told"] for row in frame.select(F.expr(title_sql()).alias("told")).collect()] == told
