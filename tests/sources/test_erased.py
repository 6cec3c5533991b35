"""Rows of people who were erased go nowhere, whole or broken."""

import pytest

from persona_pipeline.sources.erased import is_erased
from persona_pipeline.warehouse.erasures import Digester, ErasedUsers

DIGEST = Digester(b"key")
ERASED = ErasedUsers(DIGEST, frozenset([DIGEST("ben"), DIGEST("42")]))


@pytest.mark.parametrize(
    ("user", "line", "theirs"),
    [
        ("ben", "", True),
        ("42", "", True),
        ("ana", "ben said so", False),
        (None, '{"user_id": "ben", "item', True),
        (None, '{"user_id": 42, "item', True),
        (None, "ben,strap,9", True),
        (None, '{"user_id": "benno", "item', False),
    ],
)
def test_a_row_is_theirs_by_its_user_or_if_it_has_none_by_any_word(user: str | None, line: str, theirs: bool) -> None:
    assert is_erased(user, line, ERASED) is theirs
