"""Keys: everything an answer may depend on changes them, and nothing else."""

from dataclasses import replace

import pytest

from persona_pipeline.extract.llm.requests import Request, Sampling

REQUEST = Request("item_summaries", "i1", "system", "user", {"type": "object"}, "m@1", Sampling(100, 0.0, 0))


@pytest.mark.parametrize(
    "changes",
    [
        {"system": "system."},
        {"user": "user "},
        {"schema": {"type": "array"}},
        {"model": "m@2"},
        {"sampling": Sampling(101, 0.0, 0)},
        {"sampling": Sampling(100, 0.1, 0)},
        {"sampling": Sampling(100, 0.0, 1)},
    ],
)
def test_every_ingredient_changes_the_key(changes: dict[str, object]) -> None:
    assert replace(REQUEST, **changes).key != REQUEST.key  # type: ignore[arg-type]


def test_who_asks_does_not_change_the_key() -> None:
    assert replace(REQUEST, subject="i2", stage="item_personas").key == REQUEST.key


def test_the_key_is_stable() -> None:
    assert REQUEST.key == "72c4691e429c801f7b02a6640e90c24e"


def test_again_changes_only_the_sampling() -> None:
    again = REQUEST.again(seed=7)
    assert (again.user, again.sampling) == ("user", Sampling(100, 0.0, 7))
    assert again.key != REQUEST.key


def test_keys_of_a_schema_do_not_matter_in_their_order() -> None:
    one, other = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert replace(REQUEST, schema=one).schema_key == replace(REQUEST, schema=other).schema_key
