"""The extractor for a shop whose reviewers talk about sound and knobs, and items of (stars, text) pairs."""

from collections.abc import Callable

import pytest

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.embedded import EmbeddedExtractor
from persona_pipeline.extract.embedded.shop import Shop
from persona_pipeline.extract.types import ItemEvidence, ItemText, Persona, ReviewText

SHOP = Shop({"sound": "sound", "knob": "knobs", "build quality": "build quality"}, frozenset({"strap"}))


@pytest.fixture
def extractor() -> EmbeddedExtractor:
    return EmbeddedExtractor(ExtractionConfig(), lambda: SHOP)


@pytest.fixture
def make_item(extractor: EmbeddedExtractor) -> Callable[..., ItemEvidence]:
    """Item from (stars, text) pairs, each by a reviewer of their own, read."""

    def make(item_id: str, *reviews: tuple[float, str], **metadata: str) -> ItemEvidence:
        texts = tuple(
            ReviewText(f"{item_id}-r{i}", f"{item_id}-u{i}", item_id, stars, text)
            for i, (stars, text) in enumerate(reviews)
        )
        aspects = tuple(found for found, _ in extractor.aspects(texts))
        return ItemEvidence(ItemText(item_id, **metadata), "", texts, aspects)  # type: ignore[arg-type]

    return make


@pytest.fixture
def personas(extractor: EmbeddedExtractor, make_item: Callable[..., ItemEvidence]) -> Callable[..., list[Persona]]:
    """Personas of one item of (stars, text) pairs."""

    def of(*reviews: tuple[float, str], **metadata: str) -> list[Persona]:
        ((found, refusals),) = extractor.personas([make_item("i", *reviews, **metadata)])
        assert refusals == []
        return found

    return of
