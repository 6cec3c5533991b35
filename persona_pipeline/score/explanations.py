"""Compose the explanation of a recommendation for its user: a reason, at most two quotes, and one of the user's own items.

The text states only what the evidence and the score's contributions hold. It is plain text and also inert: control and
format characters are gone, `<`, `>` and straight quotation marks are set as typographic ones. A page that escapes the
text shows it unchanged; a page that forgets to, in an element or a quoted attribute, is not broken out of. Other
columns (titles, names, quotes) are verbatim: escape them.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from persona_pipeline.core.contribution_kinds import ContributionKind

QUOTES = 2
"""Quotes at most."""

RATIONALE, TITLE, QUOTE = 150, 80, 150
"""Characters of each part at most; longer ones end at a word, in an ellipsis."""

LONGEST = 600
"""Characters of an explanation at most: the parts, and the words between them."""

RESTS_ON: Mapping[str, str] = {kind: kind.reason for kind in ContributionKind if kind.reason} | {
    "liked": "Many people like it."
}
"""What a score mostly rests on, in words."""

NOTHING = "Nobody has said yet why they like it."
_SILENT = ("quotes", "metadata")
_UNSEEN = ("Cc", "Cf", "Cn", "Co", "Cs")
_OPENING = re.compile(r"(?:^|(?<=[\s(\[/]))\"")
_INERT = str.maketrans({"<": "‹", ">": "›", '"': "”", "'": "’", "`": "’"})


def inert(text: str, most: int) -> str:
    """Render text on one line of at most `most` characters that reads the same in a page whether or not it is escaped there."""
    seen = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in _UNSEEN)
    line = _OPENING.sub("“", " ".join(seen.split())).translate(_INERT)
    if len(line) <= most:
        return line
    words, _, _ = line[:most].rpartition(" ")
    return f"{words or line[: most - 1]}…"


def opening(source: str, rationale: str, quotes: str) -> str:
    """State a persona's reason to like the item; "" for a persona without a reason of its own (`persona_source`)."""
    if source in _SILENT:
        return ""
    told = inert(rationale, RATIONALE)
    return f"{told.removesuffix('.')}:" if quotes and told.endswith(".") else told


def quoted(source: str, stance: str, evidence: Iterable[Mapping[str, Any]]) -> str:
    """Render at most two different quotes; of a persona made of quotes only praise, of metadata only the description."""
    if source == "quotes" and stance != "likes":
        return ""
    spans = [span for span in evidence if span["kind"] == "review" or span["ref"] == "description"]
    differing = {_words(span["quote"]): span for span in reversed(spans)}
    texts = [f"“{inert(span['quote'], QUOTE)}”" for span in [*reversed(differing.values())][:QUOTES]]
    if not texts:
        return ""
    speaker = {"quotes": "Reviewers write: ", "metadata": "Its description says: "}.get(source, "")
    return speaker + " ".join(texts)


def of_ones_own(title: str | None) -> str:
    """Name the user's own item whose review by that user praises the same topic."""
    return f"You wrote the same of “{inert(title, TITLE)}”." if title else ""


def explanation(source: str, rationale: str, nearest: str, quotes: str, own: str) -> str:
    """Join reason, quotes and the user's own item, as far as each is present.

    Args:
        source: `persona_source`.
        rationale: of the persona.
        nearest: kind of contribution with the largest total share of the score, a key of RESTS_ON: the reason where the persona
            has none.
        quotes, own: results of `quoted` and `of_ones_own`.
    """
    because = opening(source, rationale, quotes) or RESTS_ON.get(nearest, "")
    return " ".join(part for part in (because, quotes, own) if part) or NOTHING


def _words(quote: str) -> str:
    return " ".join(re.findall(r"\w+", quote.lower()))
