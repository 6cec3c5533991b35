from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CASES = [
    ("Good &amp; <b>loud</b>&nbsp;amp", "Good & loud amp"),
    ("a<br />b", "a b"),
    ("3 < 5 and 7 > 2", "3 < 5 and 7 > 2"),
    ("I <3 it", "I <3 it"),
    ("&lt;script&gt;alert(1)&lt;/script&gt;fine", "fine"),
    ("tab\tand\u0000null\u200b and\n\nlines", "tab andnull and lines"),
    ("mail me: jo.doe+x@mail.example.com!", "mail me: [email]!"),
    ("call 555-123-4567 or (555) 123-4567 or +44 20 7946 0958", "call [phone] or [phone] or [phone]"),
    ("model 550-2, 20 x 30, 1999-2004, $100.00", "model 550-2, 20 x 30, 1999-2004, $100.00"),
    ("It cost $1,200.50 in 2019", "It cost $1,200.50 in 2019"),
    ("Émile: naïve 😀", "Émile: naïve 😀"),
    ("   ", None),
    (None, None),
]


def test_clean_text(spark: "SparkSession") -> None:
    from pyspark.sql import functions as F

    from persona_pipeline.sources.cleaning import clean_text

    rows = [(i, text) for i, (text, _) in enumerate(CASES)]
    found = spark.createDataFrame(rows, "i int, text string").select(
        "i", clean_text(F.col("text"), 8000).alias("clean")
    )
    cleaned = {row["i"]: row["clean"] for row in found.collect()}
    assert [cleaned[i] for i in range(len(CASES))] == [clean for _, clean in CASES]


@pytest.mark.parametrize(("limit", "expected"), [(11, "The brown"), (100, "The brown fox jumps")])
def test_long_text_is_cut_at_a_word(spark: "SparkSession", limit: int, expected: str) -> None:
    from pyspark.sql import functions as F

    from persona_pipeline.sources.cleaning import clean_text

    frame = spark.createDataFrame([("The brown fox jumps",)], "text string")
    assert frame.select(clean_text(F.col("text"), limit)).collect()[0][0] == expected
