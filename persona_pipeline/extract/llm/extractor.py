"""Implement `PersonaExtractor` on an LLM: build requests, turn outcomes into aspects, summaries, personas and refusals."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.embedded.extractor import READING
from persona_pipeline.extract.llm.citable import citable
from persona_pipeline.extract.llm.client import LlmClient, PromptRequest
from persona_pipeline.extract.llm.persona_verdicts import Verdict
from persona_pipeline.extract.llm.request_builder import PROMPTS, PersonaRequest, RequestBuilder
from persona_pipeline.extract.llm.response_models import schema_digest
from persona_pipeline.extract.llm.response_rows import (
    PersonaAnswer,
    aspect_texts,
    aspects_of,
    personas_of,
    summary_of,
    summary_texts,
)
from persona_pipeline.extract.memoised import memoised
from persona_pipeline.extract.types import (
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

CODE_VERSION = 6  # raise it whenever the same replies would give other rows

# By method and stage. A persona rests on what the stages before made of the same evidence.
_PROMPTS_OF: dict[str, dict[Stage, tuple[str, ...]]] = {
    "per_review": {
        "review_aspects": ("aspects",),
        "item_summaries": ("summary",),
        "item_personas": ("aspects", "summary", "personas"),
    },
    "per_cluster": {"review_aspects": (), "item_summaries": ("summary",), "item_personas": ("summary", "cluster")},
}


class LlmExtractor:
    """LLM extractor that keeps only claims supported by cited sentences. `verdicts` counts the personas in replies.

    `per_review`, the paper's way: aspects of every evidence review, then one request per item. `per_cluster`: topics
    that several reviewers agree on are found by grammar, then one short request about each, and none for aspects.
    """

    source: Literal["llm", "embedded"] = "llm"
    ready: Collection[str] = ()

    def __init__(self, config: ExtractionConfig, client: LlmClient, embed: Embed) -> None:
        self._config, self._llm = config, config.llm
        self.reads: tuple[ReviewsOf, ...] = ("item_reviews",) if config.llm.method == "per_review" else ()
        self.client, self._embed = client, embed
        self._questions = RequestBuilder(config, client.backend)
        self.verdicts: Counter[Verdict] = Counter()

    def version(self, stage: Stage) -> str:
        """Hash of everything a request of this stage depends on: prompts, model, sampling, schema."""
        llm = self._llm
        parts = [CODE_VERSION, self.client.backend.model, llm.context_tokens]
        parts += [llm.temperature, llm.seed]  # further attempts only serve what has no answer, and that is asked anyway
        parts += [self._config.max_personas, self._config.min_personas, self._config.reviews_per_persona]
        if llm.method == "per_cluster" and stage == "item_personas":
            parts.append(READING)
        for prompt in _PROMPTS_OF[llm.method][stage]:
            told = self._questions.prompts.digest(prompt), schema_digest(PROMPTS[prompt][1])
            parts += [*told, getattr(llm.max_tokens, prompt)]
        return f"llm-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"

    def usage(self) -> dict[str, Any]:
        """Requests, tokens, outcomes, and verdicts on personas, so far."""
        return {"llm": {**asdict(self.client.usage), "verdicts": dict(self.verdicts)}}

    def close(self) -> None:
        """Stop the engine."""
        self.client.close()

    def aspects(self, reviews: Sequence[ReviewText]) -> Iterator[tuple[ReviewAspects | None, list[Refusal]]]:
        """One result per review, in order."""
        sentences = [citable(review) for review in reviews]
        asked = [i for i, found in enumerate(sentences) if found]
        questions = [self._questions.about_review(reviews[i], sentences[i]) for i in asked]
        outcomes = dict(zip(asked, self.client.ask(questions), strict=True))
        embed = memoised(self._embed, (t for i, o in outcomes.items() for t in aspect_texts(o, sentences[i])))
        for i, review in enumerate(reviews):
            if i not in outcomes:
                yield ReviewAspects(review.review_id), []
            else:
                yield aspects_of(review, sentences[i], outcomes[i], embed)

    def summaries(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[ItemSummary | None, list[Refusal]]]:
        """One result per item, in order."""
        questions = [self._questions.about_item(item) for item in items]
        asked = [i for i, question in enumerate(questions) if question is not None]
        outcomes = dict(zip(asked, self.client.ask([q for q in questions if q is not None]), strict=True))
        embed = memoised(
            self._embed, (text for i, outcome in outcomes.items() for text in summary_texts(items[i], outcome))
        )
        for i, item in enumerate(items):
            if i not in outcomes:
                yield ItemSummary(item.item.item_id, "", "none"), []
            else:
                yield summary_of(item, outcomes[i], embed)

    def personas(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[list[Persona], list[Refusal]]]:
        """One result per item, in order. No persona and a refusal: the item keeps its earlier personas."""
        questions = self._about_personas(items)
        outcomes = iter(self.client.ask([asked.question for of_item in questions for asked in of_item]))
        answers = [
            [PersonaAnswer(asked.cited, next(outcomes), asked.point) for asked in of_item] for of_item in questions
        ]
        embed = memoised(self._embed, (t for of_item in answers for answered in of_item for t in answered.texts()))
        for item, answered in zip(items, answers, strict=True):
            if not answered:
                yield [], []
            else:
                personas, refusals, verdicts = personas_of(item, answered, embed)
                self.verdicts += verdicts
                yield personas, refusals

    def ask_ahead(self, reviews: Sequence[ReviewText], items: Sequence[ItemEvidence]) -> None:
        """Fill the response cache for these reviews and items, so that `aspects` and `summaries` only look responses up.

        All in one batch: an engine that is fed one stage after the other runs empty in between.
        """
        questions = [*self.questions_about_reviews(reviews), *self.questions_about_items("item_summaries", items)]
        self.client.ask(questions)

    def ask_ahead_personas(self, items: Sequence[ItemEvidence]) -> None:
        """Fill the response cache for `personas`."""
        self.client.ask(self.questions_about_items("item_personas", items))

    def questions_about_reviews(self, reviews: Sequence[ReviewText]) -> list[PromptRequest]:
        """Build one request per review with a citable sentence, in order."""
        told = ((review, citable(review)) for review in reviews)
        return [self._questions.about_review(review, sentences) for review, sentences in told if sentences]

    def questions_about_items(self, stage: Stage, items: Sequence[ItemEvidence]) -> list[PromptRequest]:
        """Build requests in order of the items: one per item with any information, or one per cluster of each item."""
        if stage == "item_summaries":
            return [question for item in items if (question := self._questions.about_item(item))]
        return [asked.question for of_item in self._about_personas(items) for asked in of_item]

    def _about_personas(self, items: Sequence[ItemEvidence]) -> list[list[PersonaRequest]]:
        """Build requests by item; none where no sentence is citable."""
        if self._llm.method == "per_review":
            return [self._questions.about_personas(item) for item in items]
        return self._questions.about_points(items)
