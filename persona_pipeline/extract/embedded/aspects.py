"""A review's remarks become its four aspects: each aspect is the sentence that says most about it, verbatim."""

from collections.abc import Sequence

from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.vocabulary import Vocabulary
from persona_pipeline.extract.protocol import ASPECT_NAMES, AspectName, AspectQuote, ReviewAspects

NEAR = 0.5  # cosine to a motive from which a remark that fits none still speaks of that motive's aspect


def aspects_of(review_id: str, remarks: Sequence[Remark], vocabulary: Vocabulary) -> ReviewAspects:
    """At most one text per aspect; every classified remark is evidence, and bare praise is no remark to begin with."""
    best: dict[AspectName, tuple[float, str]] = {}
    evidence = []
    for remark in remarks:
        classified = _classify(remark, vocabulary)
        if classified is None:
            continue
        aspect, certainty = classified
        sentence = remark.sentence
        evidence.append(AspectQuote(aspect, sentence.start, sentence.end, sentence.quote))
        if aspect not in best or certainty > best[aspect][0]:
            best[aspect] = (certainty, sentence.quote)
    return ReviewAspects(
        review_id, {aspect: best[aspect][1] for aspect in ASPECT_NAMES if aspect in best}, tuple(evidence)
    )


def _classify(remark: Remark, vocabulary: Vocabulary) -> tuple[AspectName, float] | None:
    """Aspect and certainty: of the motive it fits best, else of a near one, else an opinion is about quality."""
    if remark.fits.any():
        j = int(remark.fits.argmax())
        return vocabulary.motives[j].aspect, float(remark.fits[j])
    if remark.nearness >= NEAR:
        return vocabulary.motives[remark.nearest].aspect, remark.nearness
    return ("quality_criteria", remark.nearness) if remark.tone else None
