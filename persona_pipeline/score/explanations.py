"""Why a recommendation, in words for the person it is shown to: a persona's name and rationale, an item they reviewed, one quote.

The text says nothing else, so nothing that its evidence and the score's contributions do not hold. It is plain text that is
also inert: control and format characters are gone, `<`, `>` and straight quotation marks are set as typographic ones. A page
that escapes it shows it as it is; one that forgets to, in an element or a quoted attribute, is not broken out of. Other
columns (titles, names, quotes) are verbatim: escape them.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

NAME, RATIONALE, TITLE, QUOTE = 60, 240, 80, 160
"""Characters of each part at most; longer ones end at a word, in an ellipsis."""

LONGEST = 600
"""Characters of an explanation at most: the parts, and the words between them."""

_UNSEEN = ("Cc", "Cf", "Cn", "Co", "Cs")
_OPENING = re.compile(r"(?:^|(?<=[\s(\[/]))\"")
_INERT = str.maketrans({"<": "‹", ">": "›", '"': "”", "'": "’", "`": "’"})


def inert(text: str, most: int) -> str:
    """Text on one line of at most `most` characters, that is the same in a page whether or not it is escaped there."""
    seen = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in _UNSEEN)
    line = _OPENING.sub("“", " ".join(seen.split())).translate(_INERT)
    if len(line) <= most:
        return line
    words, _, _ = line[:most].rpartition(" ")
    return f"{words or line[: most - 1]}…"


def for_whom(name: str, rationale: str) -> str:
    """A persona, and why the item suits it."""
    return f"{inert(name, NAME)}: {inert(rationale, RATIONALE)}"


def reviewed(title: str | None) -> str | None:
    """The item of the user's own that speaks for this one."""
    return f"You reviewed “{inert(title, TITLE)}”." if title else None


def said(rationale: str, evidence: Iterable[Mapping[str, Any]], reviewer: str = "A reviewer") -> str | None:
    """One quote, if there is one the rationale does not hold: it often quotes the first, and saying it twice convinces nobody."""
    for span in evidence:
        if span["quote"].rstrip(".!?… ") not in rationale:
            speaker = f"{reviewer} wrote" if span["kind"] == "review" else "The seller says"
            return f"{speaker}: “{inert(span['quote'], QUOTE)}”"
    return None


def explanation(*parts: str | None) -> str:
    """The parts there are."""
    return " ".join(part for part in parts if part)
