"""A review's remarks become its four aspects: each aspect is the sentence that says it first, verbatim."""

from collections.abc import Sequence

from persona_pipeline.extract.types import ASPECT_NAMES, AspectName, AspectQuote, ReviewAspects


def aspects_of(review_id: str, remarks: Sequence[AspectQuote]) -> ReviewAspects:
    """At most one text per aspect; every remark is evidence. What is denied says nothing."""
    said: dict[AspectName, str] = {}
    for remark in remarks:
        if remark.stance != "mixed":
            said.setdefault(remark.aspect, remark.quote)
    return ReviewAspects(review_id, {name: said[name] for name in ASPECT_NAMES if name in said}, tuple(remarks))
