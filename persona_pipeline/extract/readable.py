"""Filter the sentences of a review that may be quoted, and score their readability."""

import re

from persona_pipeline.extract.sentences import Sentence, split_sentences

MOST_WORDS = 35
_UNFIT = re.compile(
    r"https?:|www\.|\w\.(?:com|net|org)/|<[^>]*>|&(?:\w+|#\d+);|\[[^\]]*\]|@\w|[\x00-\x08\x0b-\x1f\x7f�]"
    r"|\b(?:fuck\w*|shit\w*|bitch\w*|asshole\w*|bastards?|cunts?|whores?|sluts?|damn|retard\w*)\b",
    re.IGNORECASE,
)
# Lean on a sentence that is not shown, or trail off.
_LEANING = re.compile(r"(?:and|but|so|also|or|then|plus|because|however|which|though)\b", re.IGNORECASE)
# Broken off in the middle, by a line's end mostly.
_CUT_OFF = re.compile(r"\b(?:and|or|the|an?|of|my|your|its|can|is|are)$", re.IGNORECASE)
_OPEN_END = ("?", ":", "..", "…", ",", "-", ";")


def readable_sentences(text: str, least_words: int = 2) -> list[Sentence]:
    """Split a text into sentences that may be quoted, in order."""
    return [
        sentence
        for sentence in split_sentences(text)
        if least_words <= len(sentence.quote.split()) <= MOST_WORDS
        and not _UNFIT.search(sentence.quote)
        and not _CUT_OFF.search(sentence.quote)
    ]


def unreadability(quote: str) -> float:
    """Score a quote: 0 for a sentence of eight to eighteen words that stands on its own; more for others."""
    count = len(quote.split())
    loss = 0.04 * max(0, count - 18) + 0.05 * max(0, 8 - count)
    loss += 0.2 * bool(_LEANING.match(quote)) + 0.3 * quote.endswith(_OPEN_END)
    return loss + 0.3 * quote.isupper() + 0.05 * (not quote[:1].isupper())


def same_words(quote: str) -> str:
    """Normalise a quote so that quotes that differ only in punctuation and case are equal."""
    return " ".join(re.findall(r"\w+", quote.lower()))
