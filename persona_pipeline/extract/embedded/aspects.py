"""A review's remarks become its four aspects: each aspect is the sentence that says most about it, verbatim."""

from collections.abc import Sequence

from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.vocabulary import Vocabulary
from persona_pipeline.extract.protocol import ASPECT_NAMES, AspectName, AspectQuote, ReviewAspects


def aspects_of(review_id: str, remarks: Sequence[Remark], vocabulary: Vocabulary) -> ReviewAspects:
    """Every remark that fits a motive is evidence for the aspect of its best one; bare praise is evidence for none."""
    best: dict[AspectName, tuple[float, str]] = {}
    evidence = []
    for remark in remarks:
        if not remark.fits.any():
            continue
        j = int(remark.fits.argmax())
        aspect = vocabulary.motives[j].aspect
        sentence = remark.sentence
        evidence.append(AspectQuote(aspect, sentence.start, sentence.end, sentence.quote))
        if aspect not in best or remark.fits[j] > best[aspect][0]:
            best[aspect] = (float(remark.fits[j]), sentence.quote)
    return ReviewAspects(
        review_id, {aspect: best[aspect][1] for aspect in ASPECT_NAMES if aspect in best}, tuple(evidence)
    )
