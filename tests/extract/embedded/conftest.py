"""A stand-in for the encoder: words are hashed into dimensions, so texts are near when they share words."""

import zlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.embedded import EmbeddedExtractor
from persona_pipeline.extract.protocol import ItemEvidence, ItemText, ReviewText


class WordHashEmbed:
    """Deterministic `Embed`; `calls` holds how many texts each call brought."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self._cache: dict[str, np.ndarray] = {}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.calls.append(len(texts))
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> np.ndarray:
        if text not in self._cache:
            vector = np.full(384, 1e-3, dtype=np.float32)
            for word in text.lower().replace(".", " ").replace(",", " ").replace("!", " ").split():
                vector[zlib.crc32(word.encode()) % 384] += 1
            self._cache[text] = vector / np.linalg.norm(vector)
        return self._cache[text]


@pytest.fixture
def embed() -> WordHashEmbed:
    return WordHashEmbed()


@pytest.fixture
def extractor(embed: WordHashEmbed) -> EmbeddedExtractor:
    return EmbeddedExtractor(ExtractionConfig(), embed)


@pytest.fixture
def make_item() -> Callable[..., ItemEvidence]:
    """Item from (rating, text) pairs, each by a reviewer of their own."""

    def make(item_id: str, *reviews: tuple[float, str], **metadata: str) -> ItemEvidence:
        texts = tuple(
            ReviewText(f"{item_id}-r{i}", f"{item_id}-u{i}", item_id, rating, text)
            for i, (rating, text) in enumerate(reviews)
        )
        return ItemEvidence(ItemText(item_id, **metadata), "", texts)  # type: ignore[arg-type]

    return make
