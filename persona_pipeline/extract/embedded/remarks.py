"""Reviews become remarks: their usable sentences with an embedding and, per motive, how well each fits.

A sentence fits a motive by the cosine to the nearest of its prototypes, with a bonus where a cue of it matches. MiniLM
tells topics apart, not opinions ("it fits my guitar" and "it did not fit my guitar" are neighbours), so for a complaint
the stars count too: praise is not read from reviews of one or two stars, and a complaint in a good review needs a cue.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from persona_pipeline.extract.embedded.tone import affirmed, denied, tone
from persona_pipeline.extract.embedded.vocabulary import Vocabulary
from persona_pipeline.extract.embedded.words import is_content, tokens
from persona_pipeline.extract.protocol import Embed, ReviewText
from persona_pipeline.extract.sentences import Sentence, split_sentences

Stance = Literal["for", "against", "neither"]

FIT = 0.65  # a sentence belongs to a motive from here on
UNHAPPY_FIT = 0.5  # the same for a complaint in a review of one or two stars
CUE_BONUS = 0.35
EMPTY = 0.6  # cosine to bare praise from which a sentence without a motive is no evidence
MAX_WORDS = 45
_UNFIT_TO_QUOTE = re.compile(
    r"https?:|www\.|\w\.(?:com|net|org)/|<[^>]*>|&(?:\w+|#\d+);|\[[^\]]*\]|@\w|[\x00-\x08\x0b-\x1f\x7f]"
    r"|\b(?:fuck\w*|shit\w*|bitch\w*|asshole\w*|bastards?|cunts?|whores?|sluts?|damn|retard\w*)\b",
    re.IGNORECASE,
)
_ABOUT_OTHERS = re.compile(
    r"\b(?:others?|previous|some|another|last|old|cheap(?:er)?|used to|tired of|unlike|than|if|afraid|worr\w+)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, eq=False)
class Remark:
    """One usable sentence of a review. `fits` has one value per motive, 0 where the sentence does not belong to it."""

    review: ReviewText
    sentence: Sentence
    words: tuple[str, ...]  # lower-case tokens
    tone: int  # above 0 praise, below 0 a complaint
    emptiness: float  # cosine to the nearest bare praise
    vector: np.ndarray  # (d,)
    fits: np.ndarray  # (motives,)
    stance: Stance
    nearest: int  # index of the motive with the highest cosine, fitting or not
    nearness: float  # that cosine

    @property
    def quote(self) -> str:
        """The sentence, verbatim."""
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
    # Rounded: the last bits of a product depend on how many sentences are multiplied at once.
    cosines = np.maximum.reduceat(np.round(vectors @ anchors.T, 4), starts, axis=1)  # (sentences, motives + 1)
    for i, (owner, sentence) in enumerate(zip(owners, sentences, strict=True)):
        rating = reviews[owner].rating
        words = tuple(tokens(sentence.quote))
        mood = tone(words, vocabulary.liking, vocabulary.disliking)
        fits = _fits(sentence.quote, rating, mood, cosines[i], vocabulary)
        if not fits.any() and (cosines[i, -1] >= EMPTY or not _has_content(words)):
            continue
        nearest = int(cosines[i, :-1].argmax())
        remark = Remark(
            review=reviews[owner],
            sentence=sentence,
            words=words,
            tone=mood,
            emptiness=float(cosines[i, -1]),
            vector=vectors[i],
            fits=fits,
            stance=_stance(fits, rating, mood, vocabulary),
            nearest=nearest,
            nearness=float(cosines[i, nearest]),
        )
        remarks[owner].append(remark)
    return remarks


def _is_quotable(text: str) -> bool:
    count = len(text.split())
    return 3 <= count <= MAX_WORDS and not _UNFIT_TO_QUOTE.search(text)


def _has_content(words: Sequence[str]) -> bool:
    return sum(word.isalpha() for word in words) >= 5 and sum(map(is_content, words)) >= 2


def _fits(text: str, rating: float, mood: int, cosines: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Cosine plus cue bonus where that reaches FIT and stars and words allow it."""
    fits = np.zeros(len(vocabulary.motives), dtype=np.float32)
    # A cue is only looked for where it could decide: regular expressions are the slow part.
    for j in np.flatnonzero(cosines[:-1] >= FIT - CUE_BONUS):
        motive = vocabulary.motives[j]
        cue = affirmed(motive.cue, text)
        score = float(cosines[j]) + (CUE_BONUS if cue else 0.0)
        if motive.critical and rating >= 3:
            # Four and five stars outweigh a doubtful complaint: it needs a cue about this item and a tone to match.
            calm = mood > (0 if rating < 4 else -1)
            # "Never had these break (I've broken others)" is praise, whatever else it mentions.
            if not cue or calm or _ABOUT_OTHERS.search(text[: cue.start()]) or denied(motive.cue, text):
                continue
        # Without a cue it must also be nearer to the motive than to bare praise.
        enough = UNHAPPY_FIT if motive.critical and rating <= 2 and mood <= 0 else FIT
        if score >= enough and (cue or cosines[j] > cosines[-1]):
            fits[j] = score
    return fits


def _stance(fits: np.ndarray, rating: float, mood: int, vocabulary: Vocabulary) -> Stance:
    if fits[vocabulary.critical].any() or (rating <= 2 and mood < 0):
        return "against"
    # What went wrong with an earlier thing may be told in the sentence that says who somebody is.
    tells_who = bool(fits[vocabulary.tells_who].any())
    return "for" if rating >= 3 and (mood >= 0 or (rating >= 4 and tells_who)) else "neither"
