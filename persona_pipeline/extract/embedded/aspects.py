"""Choose a review's aspects among its remarks: per aspect the first sentence that makes it, verbatim."""

from collections.abc import Sequence

from persona_pipeline.extract.types import ASPECT_NAMES, AspectName, AspectQuote, ReviewAspects


def aspects_of(review_id: str, remarks: Sequence[AspectQuote]) -> ReviewAspects:
    """Choose at most one text per aspect; every remark is evidence. Denied remarks (stance mixed) give no text."""
    said: dict[AspectName, str] = {}
    for remark in remarks:
        if remark.stance != "mixed":
            said.setdefault(remark.aspect, remark.quote)
    return ReviewAspects(review_id, {name: said[name] for name in ASPECT_NAMES if name in said}, tuple(remarks))
