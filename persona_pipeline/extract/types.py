"""Define the extractor interface (`PersonaExtractor`) with its input and output types, for LLM and grammar alike.

Spans count characters (Unicode code points) of the source text, end exclusive: `text[start:end] == quote`.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

EvidenceKind = Literal["review", "metadata"]
Stance = Literal["likes", "dislikes", "mixed"]
"""What a persona makes of the item; whoever dislikes it is no reason to recommend it and comes after the others."""
PersonaSource = Literal["llm", "embedded", "published", "quotes", "metadata"]
"""Who wrote a persona. `published`: it was handed in ready-made; `quotes`: nothing more could be read off than what reviewers say,
word for word; `metadata`: nobody has reviewed the item usefully."""
AspectName = Literal["category_preference", "purchase_purpose", "quality_criteria", "usage_context"]
ASPECT_NAMES: tuple[AspectName, ...] = ("category_preference", "purchase_purpose", "quality_criteria", "usage_context")

Stage = Literal["review_aspects", "item_summaries", "item_personas", "persona_choices"]
"""What is asked for, by the table it goes to; `persona_choices` of an LLM alone, not of every extractor."""

ReviewsOf = Literal["item_reviews", "user_histories"]
"""Tables whose reviews an extractor wants aspects of, because something it makes rests on them."""

Embed = Callable[[Sequence[str]], np.ndarray]
"""Texts to L2-normalised float32 vectors, (n, d), in the same order. Cached: a text is embedded once, ever."""


@dataclass(frozen=True, slots=True)
class ReviewText:
    """One cleaned review."""

    review_id: str
    user_id: str
    item_id: str
    rating: float
    text: str
    title: str | None = None  # its headline


@dataclass(frozen=True, slots=True)
class ItemText:
    """One item's metadata; everything but the id may be missing."""

    item_id: str
    title: str | None = None
    description: str | None = None
    categories: tuple[str, ...] = ()
    creator: str | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """A verbatim span. `ref` is a review_id, or for metadata `title` or `description`."""

    kind: EvidenceKind
    ref: str
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class AspectQuote:
    """The sentence or clause that an aspect was read from, with the opinion found in it.

    Attributes:
        topic: a noun's base form (sound), an adjective (sturdy), "to" and a verb, "for" and a purpose, or a motive (gift).
        stance: of the speaker; mixed where it is denied.
        word: the opinion word, or the cue phrase.
        form: grammatical construction: attribute, statement, property, manner, kind, use or motive.
    """

    aspect: AspectName
    start: int
    end: int
    quote: str
    topic: str | None = None
    stance: Stance | None = None
    word: str | None = None
    form: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewAspects:
    """Aspects of one review: at most one text per aspect, each with the sentences it rests on."""

    review_id: str
    texts: dict[AspectName, str] = field(default_factory=dict)
    evidence: tuple[AspectQuote, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemSummary:
    """Summary of the item, in at most three sentences."""

    item_id: str
    summary: str
    source: Literal["metadata", "reviews", "none"]


@dataclass(frozen=True, slots=True)
class ItemEvidence:
    """One item with its summary and evidence reviews, most useful first."""

    item: ItemText
    summary: str
    reviews: tuple[ReviewText, ...]
    aspects: tuple[ReviewAspects, ...] = ()  # of the reviews, as far as they are known


@dataclass(frozen=True, slots=True)
class Persona:
    """One reason why one kind of person likes or dislikes an item. Ids are given later (`extract.identity`).

    Attributes:
        name: two or three words.
        description: up to three sentences.
        preference_rationale: one sentence, which follows from the evidence.
        support: distinct reviewers behind it; 0 when it rests on metadata.
        mean_rating: of the supporting reviews.
        stance: of these people towards the item.
        topic: name of the topic, where other items' personas and reviews share it.
        request_key: of the LLM request that the persona came from.
    """

    item_id: str
    name: str
    description: str
    preference_rationale: str
    evidence: tuple[Quote, ...]
    support: int
    mean_rating: float | None
    source: PersonaSource
    stance: Stance
    topic: str | None = None
    request_key: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An output the extractor rejected, or could not get, with a typed reason. `subject` is the review or item."""

    subject: str
    reason: str
    detail: str


class PersonaExtractor(Protocol):
    """Extractor of aspects, summaries and personas from evidence; refusals are returned with them."""

    source: Literal["llm", "embedded"]
    reads: tuple[ReviewsOf, ...]

    @property
    def ready(self) -> Collection[str]:
        """Items whose personas are at hand: nothing is asked about them."""
        ...

    def version(self, stage: Stage) -> str:
        """Changes whenever results of that stage may change."""
        ...

    def aspects(self, reviews: Sequence[ReviewText]) -> Iterator[tuple[ReviewAspects | None, list[Refusal]]]:
        """One result per review, in the same order: empty `texts` where there is no aspect, None where there was no answer."""
        ...

    def summaries(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[ItemSummary | None, list[Refusal]]]:
        """One result per item, in the same order, None where there was no answer. `ItemEvidence.summary` is empty here."""
        ...

    def personas(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[list[Persona], list[Refusal]]]:
        """One result per item, in the same order: up to `max_personas`, disliking ones last, most supported first.

        No persona and a refusal: there is no answer, and the item keeps its earlier personas. No persona and no
        refusal: no topic is certain. An item without a persona that recommends it is given a plain persona
        (`extract.embedded.plain`).
        """
        ...

    def usage(self) -> dict[str, Any]:
        """Requests and tokens, for the job's summary."""
        ...

    def close(self) -> None:
        """Release resources."""
        ...
