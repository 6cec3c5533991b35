"""Extract aspects, summaries and personas without an LLM (`EmbeddedExtractor`), by grammar and topics shared across a shop."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.embedded.aspects import aspects_of
from persona_pipeline.extract.embedded.grammar import MODEL
from persona_pipeline.extract.embedded.lexicon import load_lexicon
from persona_pipeline.extract.embedded.personas import personas_of
from persona_pipeline.extract.embedded.remarks import read_remarks
from persona_pipeline.extract.embedded.shop import Shop
from persona_pipeline.extract.embedded.summaries import summarise
from persona_pipeline.extract.types import (
    ItemEvidence,
    ItemSummary,
    Persona,
    Refusal,
    ReviewAspects,
    ReviewsOf,
    ReviewText,
    Stage,
)

CODE_VERSION = 8  # raise it whenever the same input would give other answers

READING = f"{CODE_VERSION}/{load_lexicon().digest}/{MODEL}"
"""Changes whenever other remarks may be read off the same reviews."""


class EmbeddedExtractor:
    """`PersonaExtractor` without an LLM; every text is built from the reviews' own words.

    `shop` is called when personas are to be made: it returns the topics of this shop's reviews.
    """

    source: Literal["llm", "embedded"] = "embedded"
    ready: Collection[str] = ()
    reads: tuple[ReviewsOf, ...] = ("item_reviews", "user_histories")

    def __init__(self, config: ExtractionConfig, shop: Callable[[], Shop]) -> None:
        self._config = config
        self._read_shop = shop
        settings = f"{READING}/{config.max_personas}"
        self._version = f"embedded-{hashlib.sha256(settings.encode()).hexdigest()[:12]}"

    def version(self, stage: Stage) -> str:
        """One version for all stages: they share the lexicon."""
        return self._version

    def usage(self) -> dict[str, Any]:
        """No usage."""
        return {}

    def close(self) -> None:
        """Nothing to release."""

    def aspects(self, reviews: Sequence[ReviewText]) -> Iterator[tuple[ReviewAspects, list[Refusal]]]:
        """One result per review, in order."""
        for review, remarks in zip(reviews, read_remarks(reviews), strict=True):
            yield aspects_of(review.review_id, remarks), []

    def summaries(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[ItemSummary, list[Refusal]]]:
        """One result per item, in order: from metadata where there is any, else from the reviews."""
        for item in items:
            yield summarise(item), []

    def personas(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[list[Persona], list[Refusal]]]:
        """One result per item, in order; empty for an item without a topic that two people agree on."""
        for item in items:
            yield personas_of(item, self._shop, self._config.max_personas), []

    @cached_property
    def _shop(self) -> Shop:
        return self._read_shop()
