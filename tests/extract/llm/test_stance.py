"""Stance: what a reply says, as far as stars and words bear it out."""

import pytest

from persona_pipeline.extract.llm.stance import complains, stance_of
from persona_pipeline.extract.types import Stance

PRAISE, BLAME = "It stays in tune all night.", "Unfortunately it broke within a week."


@pytest.mark.parametrize(
    ("said", "ratings", "quotes", "expected"),
    [
        ("likes", [5, 4], [PRAISE, PRAISE], "likes"),
        ("likes", [5, 3], [PRAISE, PRAISE], "likes"),
        ("likes", [4, 3], [PRAISE, PRAISE], "mixed"),
        ("likes", [5, 5], [PRAISE, BLAME], "mixed"),  # stars do not make a complaint praise
        ("likes", [1, 2], [PRAISE], "dislikes"),
        ("dislikes", [1, 2], [BLAME], "dislikes"),
        ("dislikes", [3, 3], [BLAME, PRAISE], "dislikes"),
        ("dislikes", [3, 3], [PRAISE], "mixed"),
        ("dislikes", [5, 4], [BLAME], "mixed"),  # they complain of one thing and like the item
        ("mixed", [5], [PRAISE], "mixed"),
        ("mixed", [1, 2], [BLAME], "dislikes"),
    ],
)
def test_stance(said: Stance, ratings: list[float], quotes: list[str], expected: Stance) -> None:
    assert stance_of(said, ratings, quotes) == expected


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        (BLAME, True),
        ("I wish it had a switch.", True),
        ("Too small for my hands.", True),
        ("The lid lacks a handle.", True),
        ("No complaints so far.", False),
        ("It never broke.", False),
        ("It hasn't disappointed me.", False),
        ("A broad, warm sound.", False),
    ],
)
def test_a_denied_complaint_is_none(quote: str, expected: bool) -> None:
    assert complains(quote) == expected
