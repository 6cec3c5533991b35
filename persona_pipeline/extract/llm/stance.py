"""Check the stance a reply gives a persona against the reviews' ratings and the words of the quotes.

Likes and dislikes are only accepted where both agree: a persona that likes an item explains why it is recommended.
"""

import re
from collections.abc import Sequence

import numpy as np

from persona_pipeline.extract.types import Stance

PLEASED, LET_DOWN = 4.0, 2.5  # mean stars from which people like an item, and up to which they do not
_COMPLAINT = re.compile(
    r"\b(?:unfortunately|disappoint\w*|useless|worthless|flims\w+|defect\w*|junk|garbage|regret\w*|annoy\w*|terribl[ey]|horribl[ey]|awful"
    r"|broke|broken|poor|poorly|worst|waste\w*|lacks?|lacking|downside|drawback|deficien\w+|complaints?|wish(?:ed)?|returned"
    r"|fail(?:s|ed)?|fell apart|stopped working|too (?:small|big|large|short|long|thin|thick|tight|loose|heavy|expensive|stiff))\b",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\b(?:no|not|never|without|nothing|hardly|zero|\w+n['’]t)\b[^,;.!?]{0,20}$", re.IGNORECASE)


def complains(quote: str) -> bool:
    """Whether a sentence has a word of complaint that it does not deny."""
    return any(not _DENIED.search(quote[: found.start()]) for found in _COMPLAINT.finditer(quote))


def stance_of(said: Stance, ratings: Sequence[float], quotes: Sequence[str]) -> Stance:
    """Accept the reply's stance `said` where ratings and quotes support it, else return the nearest stance they support."""
    stars = float(np.mean(ratings))
    complaints = sum(map(complains, quotes))
    if stars <= LET_DOWN:
        return "dislikes"
    if said == "likes" and stars >= PLEASED and 2 * complaints < len(quotes):
        return "likes"
    return "dislikes" if said == "dislikes" and stars < PLEASED and complaints else "mixed"
