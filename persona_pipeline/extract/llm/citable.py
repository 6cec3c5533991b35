"""Select the sentences of reviews that may be shown to an LLM and cited by a persona."""

from collections.abc import Sequence
from dataclasses import dataclass

from persona_pipeline.extract.llm.grounding import what_is_unsafe
from persona_pipeline.extract.sentences import Sentence, split_sentences
from persona_pipeline.extract.types import ItemEvidence, ReviewText


@dataclass(frozen=True, slots=True)
class CitableSentence:
    """A sentence a persona may cite."""

    review: ReviewText
    sentence: Sentence

    @property
    def quote(self) -> str:
        """The sentence, verbatim."""
        return self.sentence.quote


def citable(review: ReviewText) -> list[Sentence]:
    """Split a review into sentences that may be shown to the LLM and quoted to shoppers: no instructions, addresses or markup."""
    return [sentence for sentence in split_sentences(review.text) if not what_is_unsafe(sentence.quote)]


def headline(review: ReviewText) -> str:
    """The review's headline, if it may be shown; else empty."""
    return review.title if review.title and not what_is_unsafe(review.title) else ""


def all_sentences(item: ItemEvidence) -> list[CitableSentence]:
    """Every citable sentence of the item's reviews."""
    return [CitableSentence(review, sentence) for review in item.reviews for sentence in citable(review)]


def cited_by_aspects(item: ItemEvidence) -> list[CitableSentence]:
    """The sentences that the item's aspects rest on, review by review in order of the text."""
    spans = {found.review_id: {(q.start, q.end): q.quote for q in found.evidence} for found in item.aspects}
    return [
        CitableSentence(review, Sentence(start, end, quote))
        for review in item.reviews
        for (start, end), quote in sorted(spans.get(review.review_id, {}).items())
    ]


def review_ids(cited: Sequence[CitableSentence]) -> tuple[str, ...]:
    """Ids of the reviews the sentences are from, in order."""
    return tuple(dict.fromkeys(one.review.review_id for one in cited))
