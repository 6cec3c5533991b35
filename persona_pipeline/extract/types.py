"""The extractor seam: what goes in, what comes out, whoever reasons in between (an LLM, or grammar).

Spans count characters (Unicode code points) of the source text, end exclusive: `text[start:end] == quote`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

EvidenceKind = Literal["review", "metadata"]
Stance = Literal["likes", "dislikes", "mixed"]
"""What a persona makes of the item; whoever dislikes it is no reason to recommend it and comes after the others."""
PersonaSource = Literal["llm", "embedded", "quotes", "metadata"]
"""Who wrote a persona. `quotes`: nothing more could be read off than what reviewers say, word for word; `metadata`: nobody has
reviewed the item usefully."""
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
    """The sentence, or the clause of one, that an aspect was read from, and what it says there, as far as the extractor can tell.

    Attributes:
        topic: what it speaks of: a noun's base form (sound), an adjective (sturdy), "to" and a verb, "for" and a
            purpose, or a motive (gift).
        stance: how; mixed where it is denied.
        word: what it is called, or the words that tell.
        form: how it is put: attribute, statement, property, manner, kind, use or motive.
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
    """What the item is, in at most three sentences."""

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
        stance: what these people make of the item.
        topic: what they speak of, where that has a name of its own that other items' personas and reviews share.
        request_key: of the request to an LLM that it came from.
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
    """Something the extractor would not believe, or could not get, with a typed reason. `subject` is the review or item."""

    subject: str
    reason: str
    detail: str


class PersonaExtractor(Protocol):
    """Turns evidence into aspects, summaries and personas; what it refuses comes with them."""

    source: Literal["llm", "embedded"]
    reads: tuple[ReviewsOf, ...]

    def version(self, stage: Stage) -> str:
        """Changes whenever the answers of that stage may."""
        ...

    def aspects(self, reviews: Sequence[ReviewText]) -> Iterator[tuple[ReviewAspects | None, list[Refusal]]]:
        """One result per review, in the same order: empty `texts` where there is no aspect, None where there was no answer."""
        ...

    def summaries(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[ItemSummary | None, list[Refusal]]]:
        """One result per item, in the same order, None where there was no answer. `ItemEvidence.summary` is empty here."""
        ...

    def personas(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[list[Persona], list[Refusal]]]:
        """One result per item, in the same order: up to `max_personas`, those who dislike it last, most supported first.

        None at all, with a refusal: there is no answer, and the item keeps the personas it has. None and no refusal: nothing
        can be said of it for certain. An item that nobody is left to recommend is given a plain persona (`extract.embedded.plain`).
        """
        ...

    def usage(self) -> dict[str, Any]:
        """What it has cost, for the job's summary."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
