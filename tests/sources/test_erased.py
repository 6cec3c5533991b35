"""Records of people who were erased go nowhere, whole or broken."""

from typing import TYPE_CHECKING

from persona_pipeline.sources.erased import Erased, without_erased
from persona_pipeline.sources.input_state import Pseudonym
from persona_pipeline.warehouse.erasures import Digester

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DIGEST = Digester(b"key")
ERASED = Erased(DIGEST, frozenset([DIGEST("ben"), DIGEST("42")]))


def test_a_broken_line_is_theirs_by_any_word() -> None:
    assert ERASED.named_in('{"user_id": "ben", "item')
    assert ERASED.named_in("ben,strap,9")
    assert not ERASED.named_in('{"user_id": "benno", "item')


def test_ids_with_any_signs_are_words() -> None:
    erased = Erased(DIGEST, frozenset(map(DIGEST, ("auth0|5f7c", "a:b(1)"))))
    assert erased.named_in('{"user_id": "auth0|5f7c", "item')
    assert erased.named_in("a:b(1),strap,9")


def test_pseudonyms_are_tried_where_users_go_by_them() -> None:
    name = Pseudonym(b"k" * 32)
    erased = Erased(DIGEST, frozenset([DIGEST(name("ben"))]), name)
    assert erased(name("ben"))
    assert not erased("ben")
    assert erased.named_in("ben,strap,9")


def test_rows_go_in_spark(spark: "SparkSession") -> None:
    lines = [("ana", "ben said so"), ("ben", ""), (None, '"ben", "item'), (None, "not json"), ("42", "")]
    rows = spark.createDataFrame([(n, *row) for n, row in enumerate(lines)], "number long, user_id string, line string")
    assert sorted(row["number"] for row in without_erased(rows, ERASED).collect()) == [0, 3]
    assert without_erased(rows, None) is rows
