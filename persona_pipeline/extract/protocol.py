"""The extractor seam: what goes in, what comes out, whoever reasons in between (an LLM, or clustering).

Spans count characters (Unicode code points) of the source text, end exclusive: `text[start:end] == quote`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

EvidenceKind = Literal["review", "metadata"]
AspectName = Literal["category_preference", "purchase_purpose", "quality_criteria", "usage_context"]
ASPECT_NAMES: tuple[AspectName, ...] = ("category_preference", "purchase_purpose", "quality_criteria", "usage_context")

Stage = Literal["review_aspects", "item_summaries", "item_personas", "persona_choices"]
"""What is asked for, by the table it goes to; `persona_choices` of an LLM alone, not of every extractor."""

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


@dataclass(frozen=True, slots=True)
class ItemText:
    """One item's metadata; everything but the id may be missing."""

    item_id: str
    title: str | None = None
    description: str | None = None
    categories: tuple[str, ...] = ()


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
    """The sentence an aspect was read from."""

    aspect: AspectName
    start: int
    end: int
    quote: str


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
    """One reason why one kind of person likes an item. Ids are given later (`extract.identity`)."""

    item_id: str
    name: str  # 2-3 words
    description: str  # up to 3 sentences
    preference_rationale: str  # 1 sentence, grounded in the evidence
    evidence: tuple[Quote, ...]
    support: int  # distinct reviewers behind it; 0 when it rests on metadata
    mean_rating: float | None  # of the supporting reviews
    source: Literal["llm", "embedded", "metadata"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something the extractor would not believe, or could not get, with a typed reason. `subject` is the review or item."""

    subject: str
    reason: str
    detail: str


class PersonaExtractor(Protocol):
    """Turns evidence into aspects, summaries and personas; what it refuses comes with them."""

    source: Literal["llm", "embedded"]

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
        """One result per item, in the same order, most supported persona first; up to `max_personas` of them.

        None at all, with a refusal: there is no answer, and the item keeps the personas it has.
        """
        ...

    def usage(self) -> dict[str, Any]:
        """What it has cost, for the job's summary."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
