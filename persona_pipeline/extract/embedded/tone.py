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
_BESIDE_THE_POINT = word_set("too less other others")
_CLAUSE_END = re.compile(r"[,;:()–—]|\bbut\b|\bonly\b", re.IGNORECASE)
_REACH = 5  # words of the same clause that a negation may stand before what it denies


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
    """The first match of `pattern` that is not denied ("never had these strings break", "too bright") or said of others."""
    for found in pattern.finditer(text):
        before = _before(found, text)
        if not any(map(is_negation, before)) and not _BESIDE_THE_POINT & set(before[-3:]):
            return found
    return None


def denied(pattern: re.Pattern[str], text: str) -> bool:
    """Whether any match of `pattern` is denied, whatever else the text says."""
    return any(any(map(is_negation, _before(found, text))) for found in pattern.finditer(text))


def _before(found: re.Match[str], text: str) -> list[str]:
    """The words of the same clause that may deny a match."""
    return tokens(_CLAUSE_END.split(text[: found.start()])[-1])[-_REACH:]
