"""A sentence becomes a sign, of liking, of disliking or of neither.

Only a count of words that like and dislike, turned around by a negation up to three words before. Stars speak for a
whole review; this tells the one complaint in a good review from the praise around it.
"""

import re
from collections.abc import Sequence, Set

from persona_pipeline.extract.embedded.words import tokens, word_set

_NEGATIONS = word_set(
    """no not never without nor cannot nothing hardly barely isnt dont doesnt didnt wont wasnt cant couldnt shouldnt
    wouldnt"""
)


def is_negation(word: str) -> bool:
    """Whether a lower-case token denies what follows it."""
    return word in _NEGATIONS or word.endswith("n't")


def tone(words: Sequence[str], liking: Set[str], disliking: Set[str]) -> int:
    """Liking minus disliking words among lower-case tokens; above 0 is praise, below 0 a complaint."""
    total = 0
    for i, word in enumerate(words):
        sign = (word in liking) - (word in disliking)
        if sign and any(is_negation(before) for before in words[max(0, i - 3) : i]):
            sign = -sign
        total += sign
    return total


def affirmed(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The first match of `pattern` that is not denied ("not very compact", "too bright") or said of others."""
    for found in pattern.finditer(text):
        before = tokens(text[: found.start()])[-3:]
        if not any(is_negation(word) or word in ("too", "less", "other", "others") for word in before):
            return found
    return None
