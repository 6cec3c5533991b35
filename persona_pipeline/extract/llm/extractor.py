"""`PersonaExtractor` on an LLM: evidence to questions, outcomes to aspects, summaries and personas, and what was refused."""

import hashlib
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.embedded.provisional import provisional_persona
from persona_pipeline.extract.identity import label
from persona_pipeline.extract.llm.ask import Asker, Question
from persona_pipeline.extract.llm.grounding import (
    Judged,
    claim,
    is_copied,
    judge_personas,
    repeats_itself,
    supporting,
    what_is_unsafe,
)
from persona_pipeline.extract.llm.outcomes import Outcome
from persona_pipeline.extract.llm.prompts import Prompts
from persona_pipeline.extract.llm.replies import (
    AspectsReply,
    PersonasReply,
    SummaryReply,
    output_schema,
    schema_digest,
)
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.extract.protocol import (
    ASPECT_NAMES,
    AspectName,
    AspectQuote,
    Embed,
    ItemEvidence,
    ItemSummary,
    Persona,
    Quote,
    Refusal,
    ReviewAspects,
    ReviewText,
    Stage,
)
from persona_pipeline.extract.remembering import remembering
from persona_pipeline.extract.sentences import Sentence, split_sentences

CODE_VERSION = 1  # raise it whenever the same replies would give other rows

_ASPECTS: dict[str, Stage] = {"aspects": "review_aspects"}
_SUMMARY: dict[str, Stage] = {"summary": "item_summaries"}
_PROMPTS_OF: dict[Stage, dict[str, Stage]] = {
    "review_aspects": _ASPECTS,
    "item_summaries": _SUMMARY,
    # A persona rests on what the other two stages made of the same evidence.
    "item_personas": {**_ASPECTS, **_SUMMARY, "personas": "item_personas"},
}
_SUMMARY_SENTENCES = 8  # what reviewers say, where there is no metadata
_DESCRIPTION_CHARACTERS = 1_500


@dataclass(frozen=True, slots=True)
class _Cited:
    """A sentence a persona may cite."""

    review: ReviewText
    sentence: Sentence


class LlmExtractor:
    """Asks an LLM, and believes it only as far as the cited sentences go."""

    source: Literal["llm", "embedded"] = "llm"

    def __init__(self, config: ExtractionConfig, asker: Asker, embed: Embed) -> None:
        self._config, self._llm = config, config.llm
        self.asker, self._embed = asker, embed
        self._prompts = Prompts(config.llm.prompt_pack)

    def version(self, stage: Stage) -> str:
        """Changes whenever a request of this stage would: prompts, model, sampling, schema."""
        llm = self._llm
        parts = [CODE_VERSION, self.asker.backend.model, llm.context_tokens]
        parts += [llm.temperature, llm.seed]  # further attempts only serve what has no answer, and that is asked anyway
        parts += [self._config.max_personas, self._config.reviews_per_persona]
        for prompt, table in _PROMPTS_OF[stage].items():
            parts += [self._prompts.digest(prompt), getattr(llm.max_tokens, prompt), schema_digest(table)]
        return f"llm-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"

    def usage(self) -> dict[str, Any]:
        """Requests, tokens and outcomes so far."""
        return {"llm": asdict(self.asker.usage)}

    def close(self) -> None:
        """End the engine."""
        self.asker.close()

    def aspects(self, reviews: Sequence[ReviewText]) -> Iterator[tuple[ReviewAspects | None, list[Refusal]]]:
        """One result per review, in order."""
        sentences = [_citable(review) for review in reviews]
        asked = [i for i, found in enumerate(sentences) if found]
        outcomes = dict(zip(asked, self.asker.ask(self.questions_about_reviews(reviews)), strict=True))
        embed = remembering(self._embed, (t for i, o in outcomes.items() for t in _aspect_texts(o, sentences[i])))
        for i, review in enumerate(reviews):
            if i not in outcomes:
                yield ReviewAspects(review.review_id), []
            else:
                yield self._aspects_of(review, sentences[i], outcomes[i], embed)

    def summaries(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[ItemSummary | None, list[Refusal]]]:
        """One result per item, in order."""
        questions = [self._summary_question(item) for item in items]
        asked = [i for i, question in enumerate(questions) if question is not None]
        outcomes = dict(zip(asked, self.asker.ask([q for q in questions if q is not None]), strict=True))
        embed = remembering(
            self._embed, (text for i, outcome in outcomes.items() for text in _summary_texts(items[i], outcome))
        )
        for i, item in enumerate(items):
            if i not in outcomes:
                yield ItemSummary(item.item.item_id, "", "none"), []
            else:
                yield self._summary_of(item, outcomes[i], embed)

    def personas(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[list[Persona], list[Refusal]]]:
        """One result per item, in order. No persona and a refusal: the item keeps those it has."""
        questions = [self._personas_question(item) for item in items]
        outcomes = self.asker.ask([asked[0] for asked in questions if asked is not None])
        told = zip((asked[1] for asked in questions if asked is not None), outcomes, strict=True)
        embed = remembering(self._embed, (text for cited, outcome in told for text in _persona_texts(outcome, cited)))
        answers = iter(outcomes)
        for item, asked in zip(items, questions, strict=True):
            if asked is None:
                provisional = provisional_persona(item.item)
                refusal = Refusal(item.item.item_id, "no_evidence", "no usable sentence in its reviews and no metadata")
                yield ([provisional], []) if provisional else ([], [refusal])
            else:
                yield self._personas_of(item, asked[1], next(answers), embed)

    # ---- questions --------------------------------------------------------------------------------------------------

    def questions_about_reviews(self, reviews: Sequence[ReviewText]) -> list[Question]:
        """One per review with a usable sentence, in order."""
        told = ((review, _citable(review)) for review in reviews)
        return [self._aspects_question(review, sentences) for review, sentences in told if sentences]

    def questions_about_items(self, stage: Stage, items: Sequence[ItemEvidence]) -> list[Question]:
        """One per item that something is known of, in order."""
        if stage == "item_summaries":
            return [question for item in items if (question := self._summary_question(item))]
        return [asked[0] for item in items if (asked := self._personas_question(item))]

    def _request(
        self, stage: Stage, prompt: str, subject: str, user: str, bounds: dict[str, int], **words: int
    ) -> Request:
        llm = self._llm
        return Request(
            stage=stage,
            subject=subject,
            system=self._prompts.render(f"{prompt}_system", **words),
            user=user,
            schema=output_schema(stage, bounds),
            model=self.asker.backend.model,
            sampling=Sampling(getattr(llm.max_tokens, prompt), llm.temperature, llm.seed),
        )

    def _aspects_question(self, review: ReviewText, sentences: Sequence[Sentence]) -> Question:
        quotes = [sentence.quote for sentence in sentences]
        user = self._prompts.render("aspects_user", rating=f"{review.rating:g}", sentences=quotes)
        bounds = {"sentences": len(sentences)}
        return Question(
            self._request("review_aspects", "aspects", review.review_id, user, bounds), AspectsReply, bounds
        )

    def _summary_question(self, item: ItemEvidence) -> Question | None:
        told = item.item
        sentences = [] if told.title or told.description else [c.sentence.quote for c in _all_sentences(item)]
        if not (told.title or told.description or sentences):
            return None
        user = self._prompts.render(
            "summary_user",
            title=told.title,
            categories=list(told.categories),
            description=(told.description or "")[:_DESCRIPTION_CHARACTERS],
            sentences=sentences[:_SUMMARY_SENTENCES],
        )
        return Question(self._request("item_summaries", "summary", told.item_id, user, {}), SummaryReply)

    def _personas_question(self, item: ItemEvidence) -> tuple[Question, list[_Cited]] | None:
        """With as many reviews, in the order of the aggregation, as the context holds; none without a usable sentence."""
        cited = _cited_by_aspects(item) or _all_sentences(item)
        if not cited:
            return None
        reviews = list(dict.fromkeys(c.review.review_id for c in cited))
        low, high = 1, len(reviews)
        question = self._personas_about(item, cited)
        if self._fits(question):
            return question, cited
        while low < high:  # the most reviews that fit
            middle = (low + high + 1) // 2
            part = _of_first(cited, reviews, middle)
            low, high = (middle, high) if self._fits(self._personas_about(item, part)) else (low, middle - 1)
        part = _of_first(cited, reviews, low)
        return self._personas_about(item, part), part

    def _personas_about(self, item: ItemEvidence, cited: Sequence[_Cited]) -> Question:
        aspects = {found.review_id: found for found in item.aspects}
        numbered: dict[str, list[tuple[int, str]]] = {}
        rating = {}
        for number, one in enumerate(cited, 1):
            numbered.setdefault(one.review.review_id, []).append((number, one.sentence.quote))
            rating[one.review.review_id] = f"{one.review.rating:g}"
        reviews = [
            {
                "rating": rating[review_id],
                "aspects": list(aspects[review_id].texts.items()) if review_id in aspects else [],
                "sentences": sentences,
            }
            for review_id, sentences in numbered.items()
        ]
        user = self._prompts.render("personas_user", summary=item.summary or item.item.title or "", reviews=reviews)
        most = max(1, min(self._config.max_personas, len(reviews) // self._config.reviews_per_persona))
        # The paper asks for two at least wherever there is more than one review.
        bounds = {"sentences": len(cited), "least": min(most, 2), "most": most}
        request = self._request(
            "item_personas", "personas", item.item.item_id, user, bounds, least=bounds["least"], most=most
        )
        return Question(request, PersonasReply, bounds)

    def _fits(self, question: Question) -> bool:
        backend, request = self.asker.backend, question.request
        return backend.count_tokens([request])[0] + request.sampling.max_tokens <= backend.context_tokens

    # ---- outcomes ---------------------------------------------------------------------------------------------------

    def _aspects_of(
        self, review: ReviewText, sentences: Sequence[Sentence], outcome: Outcome, embed: Embed
    ) -> tuple[ReviewAspects | None, list[Refusal]]:
        if outcome.value is None:
            return None, [Refusal(review.review_id, outcome.name, outcome.detail)]
        assert isinstance(outcome.value, AspectsReply)
        texts: dict[AspectName, str] = {}
        evidence: list[AspectQuote] = []
        refused: dict[str, list[str]] = {}
        for name in ASPECT_NAMES:
            aspect = getattr(outcome.value, name)
            if aspect is None:
                continue
            cited = [sentences[number - 1] for number in aspect.sentences]
            if found := what_is_unsafe(aspect.text, {review.user_id}):
                refused.setdefault("unsafe", []).append(f"{name} “{aspect.text}” holds {found}")
            elif is_copied(aspect.text, outcome.request.system):
                refused.setdefault("ungrounded", []).append(f"{name} “{aspect.text}” is copied from the prompt")
            elif kept := supporting(aspect.text, [sentence.quote for sentence in cited], embed):
                texts[name] = aspect.text
                evidence += [AspectQuote(name, cited[i].start, cited[i].end, cited[i].quote) for i in kept]
            else:
                refused.setdefault("ungrounded", []).append(f"{name} “{aspect.text}” is not in what it cites")
        refusals = [Refusal(review.review_id, reason, "; ".join(why)) for reason, why in refused.items()]
        return ReviewAspects(review.review_id, texts, tuple(evidence)), refusals

    def _summary_of(
        self, item: ItemEvidence, outcome: Outcome, embed: Embed
    ) -> tuple[ItemSummary | None, list[Refusal]]:
        item_id = item.item.item_id
        if outcome.value is None:
            return None, [Refusal(item_id, outcome.name, outcome.detail)]
        assert isinstance(outcome.value, SummaryReply)
        text = outcome.value.summary
        if found := what_is_unsafe(text, _people(item)):
            return None, [Refusal(item_id, "unsafe", f"the summary holds {found}")]
        if repeats_itself(text):
            return None, [Refusal(item_id, "ungrounded", f"repeats itself: {text[:200]}")]
        if is_copied(text, outcome.request.system) or not supporting(text, _given(item), embed):
            return None, [Refusal(item_id, "ungrounded", f"not in what was given: {text[:200]}")]
        source: Literal["metadata", "reviews"] = "metadata" if item.item.title or item.item.description else "reviews"
        return ItemSummary(item_id, text, source), []

    def _personas_of(
        self, item: ItemEvidence, cited: Sequence[_Cited], outcome: Outcome, embed: Embed
    ) -> tuple[list[Persona], list[Refusal]]:
        item_id = item.item.item_id
        if outcome.value is None:
            return [], [Refusal(item_id, outcome.name, outcome.detail)]
        assert isinstance(outcome.value, PersonasReply)
        quotes = [one.sentence.quote for one in cited]
        judged = judge_personas(outcome.value.personas, quotes, _people(item), outcome.request.system, embed)
        personas = [_persona(item_id, one, cited) for one in judged if one.verdict == "kept"]
        refused: dict[str, list[str]] = {}
        for one in judged:
            if one.verdict in ("ungrounded", "unsafe"):
                refused.setdefault(one.verdict, []).append(one.detail)
        refusals = [Refusal(item_id, reason, "; ".join(why)) for reason, why in refused.items()]
        return sorted(personas, key=lambda p: -p.support), refusals


def _persona(item_id: str, judged: Judged, cited: Sequence[_Cited]) -> Persona:
    spans = [cited[number - 1] for number in judged.sentences]
    ratings = {span.review.review_id: span.review.rating for span in spans}
    return Persona(
        item_id=item_id,
        name=judged.persona.name,
        description=judged.persona.description,
        preference_rationale=judged.persona.preference_rationale,
        evidence=tuple(
            Quote("review", s.review.review_id, s.sentence.start, s.sentence.end, s.sentence.quote) for s in spans
        ),
        support=len({span.review.user_id for span in spans}),
        mean_rating=round(float(np.mean(list(ratings.values()))), 3),
        source="llm",
    )


def _aspect_texts(outcome: Outcome, sentences: Sequence[Sentence]) -> Iterator[str]:
    """What `_aspects_of` will embed."""
    for name in ASPECT_NAMES if outcome.value is not None else ():
        aspect = getattr(outcome.value, name)
        if aspect is not None:
            yield aspect.text
            yield from (sentences[number - 1].quote for number in aspect.sentences)


def _given(item: ItemEvidence) -> list[str]:
    """What a summary may rest on."""
    told = item.item
    if not (told.title or told.description):
        return [one.sentence.quote for one in _all_sentences(item)]
    pitch = [sentence.quote for sentence in split_sentences((told.description or "")[:_DESCRIPTION_CHARACTERS])]
    return [text for text in (told.title, ", ".join(told.categories), *pitch) if text]


def _summary_texts(item: ItemEvidence, outcome: Outcome) -> Iterator[str]:
    """What `_summary_of` will embed."""
    if isinstance(outcome.value, SummaryReply):
        yield outcome.value.summary
        yield from _given(item)


def _persona_texts(outcome: Outcome, cited: Sequence[_Cited]) -> Iterator[str]:
    """What `judge_personas` will embed."""
    for persona in outcome.value.personas if isinstance(outcome.value, PersonasReply) else ():
        yield claim(persona)
        yield label(persona.name, persona.description)
        yield from (cited[number - 1].sentence.quote for number in persona.sentences)


def _people(item: ItemEvidence) -> AbstractSet[str]:
    return {review.user_id for review in item.reviews}


def _all_sentences(item: ItemEvidence) -> list[_Cited]:
    return [_Cited(review, sentence) for review in item.reviews for sentence in _citable(review)]


def _citable(review: ReviewText) -> list[Sentence]:
    """Sentences that may be shown to the model and quoted to shoppers: commands, addresses and markup are neither."""
    return [sentence for sentence in split_sentences(review.text) if not what_is_unsafe(sentence.quote)]


def _cited_by_aspects(item: ItemEvidence) -> list[_Cited]:
    """The sentences the item's aspects rest on, review by review in order of the text."""
    spans = {found.review_id: {(q.start, q.end): q.quote for q in found.evidence} for found in item.aspects}
    return [
        _Cited(review, Sentence(start, end, quote))
        for review in item.reviews
        for (start, end), quote in sorted(spans.get(review.review_id, {}).items())
    ]


def _of_first(cited: Sequence[_Cited], reviews: Sequence[str], count: int) -> list[_Cited]:
    kept = set(reviews[:count])
    return [one for one in cited if one.review.review_id in kept]
