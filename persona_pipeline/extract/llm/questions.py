"""Evidence to questions: what the model is shown, which sentences it may cite, and how many reviews fit."""

from collections.abc import Sequence
from dataclasses import dataclass

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.llm.ask import Question
from persona_pipeline.extract.llm.engine import Backend
from persona_pipeline.extract.llm.grounding import what_is_unsafe
from persona_pipeline.extract.llm.prompts import Prompts
from persona_pipeline.extract.llm.replies import AspectsReply, PersonasReply, SummaryReply, output_schema
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.extract.protocol import ItemEvidence, ReviewText, Stage
from persona_pipeline.extract.sentences import Sentence, split_sentences

_SUMMARY_SENTENCES = 8  # what reviewers say, where there is no metadata
_DESCRIPTION_CHARACTERS = 1_500


@dataclass(frozen=True, slots=True)
class Cited:
    """A sentence a persona may cite."""

    review: ReviewText
    sentence: Sentence


class Questions:
    """Writes them for one configuration and one model."""

    def __init__(self, config: ExtractionConfig, backend: Backend) -> None:
        self._config, self._llm, self._backend = config, config.llm, backend
        self.prompts = Prompts(config.llm.prompt_pack, config.llm.prompts)

    def _request(
        self, stage: Stage, prompt: str, subject: str, user: str, bounds: dict[str, int], **words: int
    ) -> Request:
        llm = self._llm
        return Request(
            stage=stage,
            subject=subject,
            system=self.prompts.render(f"{prompt}_system", **words),
            user=user,
            schema=output_schema(stage, bounds),
            model=self._backend.model,
            sampling=Sampling(getattr(llm.max_tokens, prompt), llm.temperature, llm.seed),
        )

    def about_review(self, review: ReviewText, sentences: Sequence[Sentence]) -> Question:
        """For a review's aspects; `sentences` are its citable ones."""
        quotes = [sentence.quote for sentence in sentences]
        user = self.prompts.render("aspects_user", rating=f"{review.rating:g}", sentences=quotes)
        bounds = {"sentences": len(sentences)}
        return Question(
            self._request("review_aspects", "aspects", review.review_id, user, bounds), AspectsReply, bounds
        )

    def about_item(self, item: ItemEvidence) -> Question | None:
        """For an item's summary; none where nothing is known of it."""
        told = item.item
        sentences = [] if told.title or told.description else [c.sentence.quote for c in all_sentences(item)]
        if not (told.title or told.description or sentences):
            return None
        user = self.prompts.render(
            "summary_user",
            title=told.title,
            categories=list(told.categories),
            description=(told.description or "")[:_DESCRIPTION_CHARACTERS],
            sentences=sentences[:_SUMMARY_SENTENCES],
        )
        return Question(self._request("item_summaries", "summary", told.item_id, user, {}), SummaryReply)

    def about_personas(self, item: ItemEvidence) -> tuple[Question, list[Cited]] | None:
        """For an item's personas, and what its sentence numbers stand for; none without a usable sentence.

        With as many reviews as the context holds, in the order of the aggregation.
        """
        cited = _cited_by_aspects(item) or all_sentences(item)
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

    def _personas_about(self, item: ItemEvidence, cited: Sequence[Cited]) -> Question:
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
        user = self.prompts.render("personas_user", summary=item.summary or item.item.title or "", reviews=reviews)
        most = max(1, min(self._config.max_personas, len(reviews) // self._config.reviews_per_persona))
        bounds = {"sentences": len(cited), "least": min(most, self._config.min_personas), "most": most}
        request = self._request(
            "item_personas", "personas", item.item.item_id, user, bounds, least=bounds["least"], most=most
        )
        return Question(request, PersonasReply, bounds)

    def _fits(self, question: Question) -> bool:
        backend, request = self._backend, question.request
        return backend.count_tokens([request])[0] + request.sampling.max_tokens <= backend.context_tokens


def given(item: ItemEvidence) -> list[str]:
    """What a summary may rest on."""
    told = item.item
    if not (told.title or told.description):
        return [one.sentence.quote for one in all_sentences(item)]
    pitch = [sentence.quote for sentence in split_sentences((told.description or "")[:_DESCRIPTION_CHARACTERS])]
    return [text for text in (told.title, ", ".join(told.categories), *pitch) if text]


def all_sentences(item: ItemEvidence) -> list[Cited]:
    """Every citable sentence of the item's reviews."""
    return [Cited(review, sentence) for review in item.reviews for sentence in citable(review)]


def citable(review: ReviewText) -> list[Sentence]:
    """Sentences that may be shown to the model and quoted to shoppers: commands, addresses and markup are neither."""
    return [sentence for sentence in split_sentences(review.text) if not what_is_unsafe(sentence.quote)]


def _cited_by_aspects(item: ItemEvidence) -> list[Cited]:
    """The sentences the item's aspects rest on, review by review in order of the text."""
    spans = {found.review_id: {(q.start, q.end): q.quote for q in found.evidence} for found in item.aspects}
    return [
        Cited(review, Sentence(start, end, quote))
        for review in item.reviews
        for (start, end), quote in sorted(spans.get(review.review_id, {}).items())
    ]


def _of_first(cited: Sequence[Cited], reviews: Sequence[str], count: int) -> list[Cited]:
    kept = set(reviews[:count])
    return [one for one in cited if one.review.review_id in kept]
