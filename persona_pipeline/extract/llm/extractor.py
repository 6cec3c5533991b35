"""`PersonaExtractor` on an LLM: evidence to questions, outcomes to aspects, summaries and personas, and what was refused."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.llm.ask import Asker, Question
from persona_pipeline.extract.llm.grounding import Verdict
from persona_pipeline.extract.llm.questions import Questions, citable
from persona_pipeline.extract.llm.replies import schema_digest
from persona_pipeline.extract.llm.verdicts import (
    aspect_texts,
    aspects_of,
    persona_texts,
    personas_of,
    summary_of,
    summary_texts,
)
from persona_pipeline.extract.protocol import (
    Embed,
    ItemEvidence,
    ItemSummary,
    Persona,
    Refusal,
    ReviewAspects,
    ReviewText,
    Stage,
)
from persona_pipeline.extract.remembering import remembering

CODE_VERSION = 4  # raise it whenever the same replies would give other rows

_ASPECTS: dict[str, Stage] = {"aspects": "review_aspects"}
_SUMMARY: dict[str, Stage] = {"summary": "item_summaries"}
_PROMPTS_OF: dict[Stage, dict[str, Stage]] = {
    "review_aspects": _ASPECTS,
    "item_summaries": _SUMMARY,
    # A persona rests on what the other two stages made of the same evidence.
    "item_personas": {**_ASPECTS, **_SUMMARY, "personas": "item_personas"},
}


class LlmExtractor:
    """Asks an LLM, and believes it only as far as the cited sentences go. `verdicts` counts the personas it was answered."""

    source: Literal["llm", "embedded"] = "llm"

    def __init__(self, config: ExtractionConfig, asker: Asker, embed: Embed) -> None:
        self._config, self._llm = config, config.llm
        self.asker, self._embed = asker, embed
        self._questions = Questions(config, asker.backend)
        self.verdicts: Counter[Verdict] = Counter()

    def version(self, stage: Stage) -> str:
        """Changes whenever a request of this stage would: prompts, model, sampling, schema."""
        llm = self._llm
        parts = [CODE_VERSION, self.asker.backend.model, llm.context_tokens]
        parts += [llm.temperature, llm.seed]  # further attempts only serve what has no answer, and that is asked anyway
        parts += [self._config.max_personas, self._config.min_personas, self._config.reviews_per_persona]
        for prompt, table in _PROMPTS_OF[stage].items():
            parts += [self._questions.prompts.digest(prompt), getattr(llm.max_tokens, prompt), schema_digest(table)]
        return f"llm-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"

    def usage(self) -> dict[str, Any]:
        """Requests, tokens, outcomes, and verdicts on the personas answered, so far."""
        return {"llm": {**asdict(self.asker.usage), "verdicts": dict(self.verdicts)}}

    def close(self) -> None:
        """End the engine."""
        self.asker.close()

    def aspects(self, reviews: Sequence[ReviewText]) -> Iterator[tuple[ReviewAspects | None, list[Refusal]]]:
        """One result per review, in order."""
        sentences = [citable(review) for review in reviews]
        asked = [i for i, found in enumerate(sentences) if found]
        questions = [self._questions.about_review(reviews[i], sentences[i]) for i in asked]
        outcomes = dict(zip(asked, self.asker.ask(questions), strict=True))
        embed = remembering(self._embed, (t for i, o in outcomes.items() for t in aspect_texts(o, sentences[i])))
        for i, review in enumerate(reviews):
            if i not in outcomes:
                yield ReviewAspects(review.review_id), []
            else:
                yield aspects_of(review, sentences[i], outcomes[i], embed)

    def summaries(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[ItemSummary | None, list[Refusal]]]:
        """One result per item, in order."""
        questions = [self._questions.about_item(item) for item in items]
        asked = [i for i, question in enumerate(questions) if question is not None]
        outcomes = dict(zip(asked, self.asker.ask([q for q in questions if q is not None]), strict=True))
        embed = remembering(
            self._embed, (text for i, outcome in outcomes.items() for text in summary_texts(items[i], outcome))
        )
        for i, item in enumerate(items):
            if i not in outcomes:
                yield ItemSummary(item.item.item_id, "", "none"), []
            else:
                yield summary_of(item, outcomes[i], embed)

    def personas(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[list[Persona], list[Refusal]]]:
        """One result per item, in order. No persona and a refusal: the item keeps those it has."""
        questions = [self._questions.about_personas(item) for item in items]
        outcomes = self.asker.ask([asked[0] for asked in questions if asked is not None])
        told = zip((asked[1] for asked in questions if asked is not None), outcomes, strict=True)
        embed = remembering(self._embed, (text for cited, outcome in told for text in persona_texts(outcome, cited)))
        answers = iter(outcomes)
        for item, asked in zip(items, questions, strict=True):
            if asked is None:
                yield [], []
            else:
                personas, refusals, verdicts = personas_of(item, asked[1], next(answers), embed)
                self.verdicts += verdicts
                yield personas, refusals

    def ask_ahead(self, reviews: Sequence[ReviewText], items: Sequence[ItemEvidence]) -> None:
        """Have the answers about these reviews and items on record, so that `aspects` and `summaries` only look them up.

        All in one go: an engine that is fed the one kind of question after the other runs empty in between.
        """
        questions = [*self.questions_about_reviews(reviews), *self.questions_about_items("item_summaries", items)]
        self.asker.ask(questions)

    def ask_ahead_personas(self, items: Sequence[ItemEvidence]) -> None:
        """The same for `personas`."""
        self.asker.ask(self.questions_about_items("item_personas", items))

    def questions_about_reviews(self, reviews: Sequence[ReviewText]) -> list[Question]:
        """One per review with a usable sentence, in order."""
        told = ((review, citable(review)) for review in reviews)
        return [self._questions.about_review(review, sentences) for review, sentences in told if sentences]

    def questions_about_items(self, stage: Stage, items: Sequence[ItemEvidence]) -> list[Question]:
        """One per item that something is known of, in order."""
        if stage == "item_summaries":
            return [question for item in items if (question := self._questions.about_item(item))]
        return [asked[0] for item in items if (asked := self._questions.about_personas(item))]
