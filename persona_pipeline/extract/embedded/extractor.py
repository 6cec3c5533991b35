"""Reviews and metadata become aspects, summaries and personas by embedding and clustering, without an LLM."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.embedded.aspects import aspects_of
from persona_pipeline.extract.embedded.clusters import cluster_remarks
from persona_pipeline.extract.embedded.provisional import provisional_persona
from persona_pipeline.extract.embedded.reading import Reading
from persona_pipeline.extract.embedded.remarks import Remark, read_remarks
from persona_pipeline.extract.embedded.summaries import summarise
from persona_pipeline.extract.embedded.vocabulary import load_vocabulary
from persona_pipeline.extract.embedded.wording import word_personas
from persona_pipeline.extract.embedded.words import Background
from persona_pipeline.extract.protocol import (
    Embed,
    ItemEvidence,
    ItemSummary,
    Persona,
    Refusal,
    ReviewAspects,
    ReviewsOf,
    ReviewText,
    Stage,
)

CODE_VERSION = 3  # raise it whenever the same input would give other answers


class EmbeddedExtractor:
    """`PersonaExtractor` on sentence embeddings alone; every text is built from the reviews' own words.

    `corpus` gives (item id, all its evidence text), one pair per item, and is asked when something is to be extracted:
    it tells how everybody uses words. Without it, the items of each call are the corpus.
    """

    source: Literal["llm", "embedded"] = "embedded"
    reads: tuple[ReviewsOf, ...] = ("item_reviews", "user_histories")

    def __init__(
        self,
        config: ExtractionConfig,
        embed: Embed,
        corpus: Callable[[], Iterable[tuple[str, str]]] | None = None,
    ) -> None:
        self._config = config
        self._corpus = corpus
        self._embed = embed
        self._vocabulary = load_vocabulary()
        self._background: Background | None = None
        settings = f"{CODE_VERSION}/{self._vocabulary.digest}/{config.max_personas}/{config.reviews_per_persona}"
        self._version = f"embedded-{hashlib.sha256(settings.encode()).hexdigest()[:12]}"

    def version(self, stage: Stage) -> str:
        """One for all stages: they share their vocabulary."""
        return self._version

    def usage(self) -> dict[str, Any]:
        """Nothing but embeddings, which the embedder counts."""
        return {}

    def close(self) -> None:
        """Holds nothing."""

    def aspects(self, reviews: Sequence[ReviewText]) -> Iterator[tuple[ReviewAspects, list[Refusal]]]:
        """One result per review, in order."""
        remarks = read_remarks(reviews, self._embed, self._vocabulary)
        for review, own in zip(reviews, remarks, strict=True):
            yield aspects_of(review.review_id, own, self._vocabulary), []

    def summaries(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[ItemSummary, list[Refusal]]]:
        """One result per item, in order: from metadata where there is any, else from the reviews."""
        background = self._background_for(items)
        remarks = self._read(
            [item if not item.item.title and not item.item.description else _bare(item) for item in items]
        )
        for item, own in zip(items, remarks, strict=True):
            yield summarise(item.item, Reading(item.item.item_id, "", own, self._vocabulary, background)), []

    def personas(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[list[Persona], list[Refusal]]]:
        """One result per item, in order, most supported persona first."""
        background = self._background_for(items)
        for item, remarks in zip(items, self._read(items), strict=True):
            yield self._personas_of(item, remarks, background)

    def _background_for(self, items: Sequence[ItemEvidence]) -> Background:
        if self._corpus is None:
            return _background_of(items)
        if self._background is None:
            self._background = Background(self._corpus())
        return self._background

    def _personas_of(
        self, item: ItemEvidence, remarks: list[Remark], background: Background
    ) -> tuple[list[Persona], list[Refusal]]:
        if not remarks:
            provisional = provisional_persona(item.item, self._vocabulary)
            refusal = Refusal(item.item.item_id, "no_evidence", "no usable sentence in its reviews and no metadata")
            return ([provisional], []) if provisional else ([], [refusal])
        usable = len({remark.review.review_id for remark in remarks})
        most = max(1, min(self._config.max_personas, usable // self._config.reviews_per_persona))
        # In order of text, so that nothing depends on the order of the reviews.
        remarks = sorted(remarks, key=lambda r: (r.quote, r.review.review_id, r.sentence.start))
        reading = Reading(item.item.item_id, item.item.title or "", remarks, self._vocabulary, background)
        return word_personas(cluster_remarks(reading, most), reading), []

    def _read(self, items: Sequence[ItemEvidence]) -> list[list[Remark]]:
        """Remarks of each item, all items in one embedding call."""
        by_review = iter(
            read_remarks([review for item in items for review in item.reviews], self._embed, self._vocabulary)
        )
        return [[remark for _ in item.reviews for remark in next(by_review)] for item in items]


def _bare(item: ItemEvidence) -> ItemEvidence:
    return ItemEvidence(item.item, item.summary, ())


def _background_of(items: Sequence[ItemEvidence]) -> Background:
    return Background((item.item.item_id, "\n".join(review.text for review in item.reviews)) for item in items)
