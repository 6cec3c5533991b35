"""Lines of people who were erased go nowhere, whole or broken."""

from typing import TYPE_CHECKING

import pytest

from persona_pipeline.sources.erased import is_erased, user_of, without_erased
from persona_pipeline.warehouse.erasures import Digester

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DIGEST = Digester(b"key")
ERASED = frozenset([DIGEST("ben"), DIGEST("42")])


@pytest.mark.parametrize(
    ("line", "user"),
    [
        ('{"user_id": " ben ", "rating": 5}', "ben"),
        ('{"user_id": 42}', "42"),
        ('{"user_id": 4.20}', "4.20"),
        ('{"user_id": null}', None),
        ('{"user_id": ""}', None),
        ("[1]", None),
        ('{"user_id": "ben", "item', None),
    ],
)
def test_the_user_of_a_line_is_read_as_the_parser_reads_it(line: str, user: str | None) -> None:
    assert user_of(line, "user_id") == user


def test_a_broken_line_is_theirs_by_any_word() -> None:
    assert is_erased(None, '{"user_id": "ben", "item', DIGEST, ERASED)
    assert is_erased(None, "ben,strap,9", DIGEST, ERASED)
    assert not is_erased(None, '{"user_id": "benno", "item', DIGEST, ERASED)
    assert not is_erased("ana", '{"user_id": "ana", "text": "ben said so"}', DIGEST, ERASED)


def test_rows_go_in_spark(spark: "SparkSession") -> None:
    lines = ['{"user_id": "ana"}', '{"user_id": "ben"}', '{"user_id": "ben"', "not json", '{"user_id": 42}']
    rows = spark.createDataFrame([(n, line) for n, line in enumerate(lines)], "number long, line string")
    kept = without_erased(rows, DIGEST, ERASED, "user_id")
    assert sorted(row["number"] for row in kept.collect()) == [0, 3]
    assert without_erased(rows, DIGEST, frozenset(), "user_id") is rows
