"""Reviews become remarks: their usable sentences with an embedding and, per motive, how well each fits.

A sentence fits a motive by the cosine to the nearest of its prototypes, with a bonus where a cue of it matches. MiniLM
tells topics apart, not opinions ("it fits my guitar" and "it did not fit my guitar" are neighbours), so for a complaint
the stars count too: praise is not read from reviews of one or two stars, and a complaint in a good review needs a cue.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from persona_pipeline.extract.embedded.sentences import Sentence, split_sentences
from persona_pipeline.extract.embedded.vocabulary import Vocabulary
from persona_pipeline.extract.embedded.words import is_content, tokens
from persona_pipeline.extract.protocol import Embed, ReviewText

FIT = 0.6  # a sentence belongs to a motive from here on
CUE_BONUS = 0.35
EMPTY = 0.6  # cosine to bare praise from which a sentence without a motive is no evidence
MAX_WORDS = 45
_UNFIT_TO_QUOTE = re.compile(
    r"https?:|www\.|\w\.(?:com|net|org)/|<[^>]*>|&(?:\w+|#\d+);|\[[^\]]*\]|@\w|[\x00-\x08\x0b-\x1f\x7f]"
    r"|\b(?:fuck\w*|shit\w*|bitch\w*|asshole\w*|bastards?|cunts?|whores?|sluts?|damn|retard\w*)\b",
    re.IGNORECASE,
)
_REVERSED = re.compile(
    r"\b(?:no|not|never|without|nor|isn'?t|doesn'?t|don'?t|didn'?t|won'?t|wasn'?t|haven'?t|hasn'?t|other|others|previous|some"
    r"|another|last|old|cheap(?:er)?|used to|tired of|unlike|than|if|afraid|worr\w+|skeptical)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, eq=False)
class Remark:
    """One usable sentence of a review. `fits` has one value per motive of the vocabulary, 0 where it does not belong."""

    review: ReviewText
    sentence: Sentence
    vector: np.ndarray  # (d,)
    fits: np.ndarray  # (motives,)

    @property
    def quote(self) -> str:
        return self.sentence.quote


def read_remarks(reviews: Sequence[ReviewText], embed: Embed, vocabulary: Vocabulary) -> list[list[Remark]]:
    """Remarks of each review, in order of the reviews and of the text. One call of `embed`."""
    found = [[s for s in split_sentences(review.text) if _is_quotable(s.quote)] for review in reviews]
    owners = [i for i, sentences in enumerate(found) for _ in sentences]
    sentences = [sentence for group in found for sentence in group]
    prototypes, starts = vocabulary.prototypes
    vectors = embed([*prototypes, *(sentence.quote for sentence in sentences)])
    anchors, vectors = vectors[: len(prototypes)], vectors[len(prototypes) :]

    remarks: list[list[Remark]] = [[] for _ in reviews]
    if not sentences:
        return remarks
    cosines = np.maximum.reduceat(vectors @ anchors.T, starts, axis=1)  # (sentences, motives + 1)
    for i, (owner, sentence) in enumerate(zip(owners, sentences, strict=True)):
        review = reviews[owner]
        fits = _fits(sentence.quote, review.rating, cosines[i, :-1], vocabulary)
        if fits.any() or _has_content(sentence.quote, cosines[i, -1]):
            remarks[owner].append(Remark(review, sentence, vectors[i], fits))
    return remarks


def _is_quotable(text: str) -> bool:
    count = len(text.split())
    return 3 <= count <= MAX_WORDS and not _UNFIT_TO_QUOTE.search(text)


def _has_content(text: str, emptiness: float) -> bool:
    words = tokens(text)
    return emptiness < EMPTY and len(text.split()) >= 5 and sum(map(is_content, words)) >= 2


def _fits(text: str, rating: float, cosines: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Cosine plus cue bonus where that reaches FIT and the stars allow it. Complaints and praise exclude each other."""
    fits = np.zeros(len(vocabulary.motives), dtype=np.float32)
    # A cue is only looked for where it could decide: regular expressions are the slow part.
    for j in np.flatnonzero(cosines >= FIT - CUE_BONUS):
        motive = vocabulary.motives[j]
        cue = motive.cue.search(text)
        score = cosines[j] + (CUE_BONUS if cue else 0.0)
        if score < FIT:
            continue
        if motive.critical:
            if rating >= 4 and (not cue or _REVERSED.search(text[: cue.start()])):
                continue
            score += 0.05 * (3 - rating)
        if score >= FIT:
            fits[j] = score
    critical = np.array([motive.critical for motive in vocabulary.motives])
    if rating <= 2 or fits[critical].any():
        fits[~critical] = 0
    return fits
