"""Split a review's text into sentences with exact character spans.

Shoppers write without spaces after full stops ("as expected.As a bonus"), in bullet lists, in capitals, and end
sentences with "..." or an emoji. A missed boundary makes an unreadable quote; a wrong one cuts a quote in half. So
full stops inside abbreviations, numbers and web addresses are no boundaries, nearly everything else is.
"""

import re
from dataclasses import dataclass

_EMOJI = "\u2600-\u27bf\U0001f000-\U0001faff\ufe0f\u200d"
_BOUNDARY = re.compile(
    rf"""
      (?P<ellipsis> (?:\.{{2,}}|…)[.!?…]* ["'”’)\]]* (?=[\s\w]|$) )   # "works great...no complaints"
    | (?P<strong> [!?]+[.!?]* ["'”’)\]]* (?=[\s\w(–—{_EMOJI}-]|$) )    # "Love it!Sounds great"
    | (?P<stop> \. ["'”’)\]]* (?=\s|$) )                               # an ordinary full stop
    | (?P<glued> (?<=[a-z0-9)][a-z0-9)])\.["'”’)\]]* (?=[A-Z]) )            # "as expected.As a bonus"
    | (?P<emoji> \s*[{_EMOJI}]+ (?=\s*[A-Z]) )                         # "for my son 😀 He loves it"
    | (?P<line> \s*[\r\n]+ )
    """,
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"(?<![\w'’])(?:(?:mr|mrs|ms|dr|st|jr|sr|vs|approx|inc|ltd|no|oz|lbs?|ft|vol|dept|est|min|max|prof|gen|fig|avg)"
    r"|[a-z](?:\.[a-z])*)$",
    re.IGNORECASE,
)
_MARKER = re.compile(r"(?:[\s>*•·–—-]+|\(?\d{1,2}[.)]\s+)+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A span: `text[start:end] == quote` in the text it was cut from."""

    start: int
    end: int
    quote: str


def split_sentences(text: str) -> list[Sentence]:
    """Split into sentences in order, without overlap; every letter of `text` lies in one of them."""
    sentences = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match.lastgroup in ("stop", "glued") and _is_inside(text, start, match):
            continue
        sentences += _trimmed(text, start, match.end())
        start = match.end()
    return sentences + _trimmed(text, start, len(text))


def _is_inside(text: str, start: int, stop: re.Match[str]) -> bool:
    """Whether a full stop belongs to an abbreviation, an initial or a list number."""
    before = text[start : stop.start()]
    if before.strip().isdigit():  # "2. Sturdy": the number belongs to what follows
        return True
    abbreviated = _ABBREVIATION.search(before)
    if not abbreviated or before.endswith((" I", " i")) or before in ("I", "i"):
        return False
    following = text[stop.end() :].lstrip()[:1]
    word = abbreviated.group().lower()
    # "fits a no. 2 pick" goes on in lower case or digits; "I said no. Then" does not; "Mr. Smith" always goes on.
    return word in ("mr", "mrs", "ms", "dr", "st", "prof") or not following.isupper() or len(word) == 1


def _trimmed(text: str, start: int, end: int) -> list[Sentence]:
    """Strip white space and list markers around a piece; empty if no letter or digit is left."""
    piece = text[start:end]
    marker = _MARKER.match(piece)
    if marker and any(c.isalnum() for c in piece[marker.end() :]):
        start += marker.end()
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    quote = text[start:end]
    return [Sentence(start, end, quote)] if any(c.isalnum() for c in quote) else []
