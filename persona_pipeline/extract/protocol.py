"""The extractor seam: what goes in, what comes out, whoever reasons in between (an LLM, or clustering).

Spans count characters (Unicode code points) of the source text, end exclusive: `text[start:end] == quote`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

EvidenceKind = Literal["review", "metadata"]
AspectName = Literal["category_preference", "purchase_purpose", "quality_criteria", "usage_context"]
ASPECT_NAMES: tuple[AspectName, ...] = ("category_preference", "purchase_purpose", "quality_criteria", "usage_context")

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
    """Something the extractor would not turn into a persona, with a typed reason."""

    item_id: str
    reason: str
    detail: str


class PersonaExtractor(Protocol):
    """Turns evidence into aspects, summaries and personas. `version` changes whenever the answers may."""

    version: str

    def aspects(self, reviews: Sequence[ReviewText]) -> list[ReviewAspects]:
        """One result per review, in the same order; a review without any aspect has empty `texts`."""
        ...

    def summaries(self, items: Sequence[ItemEvidence]) -> list[ItemSummary]:
        """One result per item, in the same order. `ItemEvidence.summary` is empty here."""
        ...

    def personas(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[list[Persona], list[Refusal]]]:
        """One result per item, in the same order, most supported persona first; 1 to `max_personas` of them."""
        ...
