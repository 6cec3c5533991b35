"""Reviews and metadata become aspects, summaries and personas by grammar and by what a shop's reviewers share, without an LLM."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
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

    `shop` is asked when personas are to be made: it tells what this shop's reviewers talk about.
    """

    source: Literal["llm", "embedded"] = "embedded"
    reads: tuple[ReviewsOf, ...] = ("item_reviews", "user_histories")

    def __init__(self, config: ExtractionConfig, shop: Callable[[], Shop]) -> None:
        self._config = config
        self._read_shop = shop
        settings = f"{READING}/{config.max_personas}"
        self._version = f"embedded-{hashlib.sha256(settings.encode()).hexdigest()[:12]}"

    def version(self, stage: Stage) -> str:
        """One for all stages: they share the lexicon."""
        return self._version

    def usage(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def close(self) -> None:
        """Holds nothing."""

    def aspects(self, reviews: Sequence[ReviewText]) -> Iterator[tuple[ReviewAspects, list[Refusal]]]:
        """One result per review, in order."""
        for review, remarks in zip(reviews, read_remarks(reviews), strict=True):
            yield aspects_of(review.review_id, remarks), []

    def summaries(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[ItemSummary, list[Refusal]]]:
        """One result per item, in order: from metadata where there is any, else from the reviews."""
        for item in items:
            yield summarise(item), []

    def personas(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[list[Persona], list[Refusal]]]:
        """One result per item, in order; nothing of an item of which nothing can be said for certain."""
        for item in items:
            yield personas_of(item, self._shop, self._config.max_personas), []

    @cached_property
    def _shop(self) -> Shop:
        return self._read_shop()
