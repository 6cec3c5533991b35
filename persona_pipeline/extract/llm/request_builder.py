"""Build LLM requests from evidence: the prompt, the citable sentences, and as many reviews as fit the context."""

from collections.abc import Sequence
from typing import NamedTuple

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.embedded.personas import persona_of
from persona_pipeline.extract.llm.citable import CitableSentence, all_sentences, cited_by_aspects, headline, review_ids
from persona_pipeline.extract.llm.client import PromptRequest
from persona_pipeline.extract.llm.clusters import Cluster, clusters_of
from persona_pipeline.extract.llm.engines.engine import Backend
from persona_pipeline.extract.llm.prompts import Prompts
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.extract.llm.response_models import (
    AspectsResponse,
    ClusterResponse,
    PersonasResponse,
    SummaryResponse,
    output_schema,
)
from persona_pipeline.extract.sentences import Sentence, split_sentences
from persona_pipeline.extract.types import ItemEvidence, ItemText, ReviewText, Stage

PROMPTS: dict[str, tuple[Stage, str]] = {
    "aspects": ("review_aspects", "review_aspects"),
    "summary": ("item_summaries", "item_summaries"),
    "personas": ("item_personas", "item_personas"),
    "cluster": ("item_personas", "cluster_point"),
}
"""By prompt: the table its answers go to, and the schema of its replies."""

_DESCRIPTION_CHARACTERS = 1_500


class PersonaRequest(NamedTuple):
    """A request about an item's personas, and the sentences its numbers refer to."""

    question: PromptRequest
    cited: Sequence[CitableSentence] = ()
    point: Cluster | None = None


class RequestBuilder:
    """Builder of requests for one configuration and one model."""

    def __init__(self, config: ExtractionConfig, backend: Backend) -> None:
        self._config, self._llm, self._backend = config, config.llm, backend
        self.prompts = Prompts(config.llm.prompt_pack, config.llm.prompts)

    def _request(
        self, prompt: str, subject: str, user: str, bounds: dict[str, int], reviews: tuple[str, ...], **words: int
    ) -> Request:
        llm, (stage, schema) = self._llm, PROMPTS[prompt]
        return Request(
            stage=stage,
            subject=subject,
            system=self.prompts.render(f"{prompt}_system", **words),
            user=user,
            schema=output_schema(schema, bounds),
            model=self._backend.model,
            sampling=Sampling(getattr(llm.max_tokens, prompt), llm.temperature, llm.seed),
            reviews=reviews,
        )

    def about_review(self, review: ReviewText, sentences: Sequence[Sentence]) -> PromptRequest:
        """Build the request for a review's aspects; `sentences` are its citable ones."""
        quotes = [sentence.quote for sentence in sentences]
        rating, title = f"{review.rating:g}", headline(review)
        user = self.prompts.render("aspects_user", rating=rating, title=title, sentences=quotes)
        bounds = {"sentences": len(sentences)}
        request = self._request("aspects", review.review_id, user, bounds, (review.review_id,))
        return PromptRequest(request, AspectsResponse, bounds)

    def about_item(self, item: ItemEvidence) -> PromptRequest | None:
        """Build the request for an item's summary; None without metadata: reviews do not describe what an item is."""
        told = item.item
        if not (told.title or told.description):
            return None
        user = self.prompts.render(
            "summary_user",
            title=told.title,
            creator=told.creator,
            categories=list(told.categories),
            description=(told.description or "")[:_DESCRIPTION_CHARACTERS],
        )
        return PromptRequest(self._request("summary", told.item_id, user, {}, ()), SummaryResponse)

    def about_points(self, items: Sequence[ItemEvidence]) -> list[list[PersonaRequest]]:
        """Build the requests for each item's clusters, best supported first."""
        most = [self._most_personas(len(item.reviews)) for item in items]
        return [[self._about_point(point) for point in points] for points in clusters_of(items, most)]

    def _about_point(self, point: Cluster) -> PersonaRequest:
        # Without headlines: a small model writes of them, and no quote bears it out.
        sentences = [(one.remark.quote, f"{one.review.rating:g}") for one in point.shown]
        about, said = _called(point.item), persona_of("", point.group, point.shown, point.shop).preference_rationale
        user = self.prompts.render("cluster_user", about=about, said=said, sentences=sentences)
        bounds = {"sentences": len(point.shown)}
        reviews = tuple(dict.fromkeys(one.review.review_id for one in point.shown))
        request = self._request("cluster", point.item.item.item_id, user, bounds, reviews)
        return PersonaRequest(PromptRequest(request, ClusterResponse, bounds), point=point)

    def about_personas(self, item: ItemEvidence) -> list[PersonaRequest]:
        """Build one request for all of an item's personas; none without a citable sentence.

        With as many reviews as the context holds, in the order of the aggregation.
        """
        cited = cited_by_aspects(item) or all_sentences(item)
        if not cited:
            return []
        reviews = list(dict.fromkeys(c.review.review_id for c in cited))
        low, high = 1, len(reviews)
        question = self._personas_about(item, cited)
        if self._fits(question):
            return [PersonaRequest(question, cited)]
        while low < high:  # the most reviews that fit
            middle = (low + high + 1) // 2
            part = _of_first(cited, reviews, middle)
            low, high = (middle, high) if self._fits(self._personas_about(item, part)) else (low, middle - 1)
        part = _of_first(cited, reviews, low)
        return [PersonaRequest(self._personas_about(item, part), part)]

    def _personas_about(self, item: ItemEvidence, cited: Sequence[CitableSentence]) -> PromptRequest:
        aspects = {found.review_id: found for found in item.aspects}
        numbered: dict[str, list[tuple[int, str]]] = {}
        told = {}
        for number, one in enumerate(cited, 1):
            numbered.setdefault(one.review.review_id, []).append((number, one.sentence.quote))
            told[one.review.review_id] = one.review
        reviews = [
            {
                "rating": f"{told[review_id].rating:g}",
                "title": headline(told[review_id]),
                "aspects": list(aspects[review_id].texts.items()) if review_id in aspects else [],
                "sentences": sentences,
            }
            for review_id, sentences in numbered.items()
        ]
        user = self.prompts.render(
            "personas_user",
            title=item.item.title,
            creator=item.item.creator,
            summary=item.summary,
            reviews=reviews,
        )
        most = self._most_personas(len(reviews))
        bounds = {"sentences": len(cited), "least": min(most, self._config.min_personas), "most": most}
        shown = review_ids(cited)
        request = self._request("personas", item.item.item_id, user, bounds, shown, least=bounds["least"], most=most)
        return PromptRequest(request, PersonasResponse, bounds)

    def _most_personas(self, reviews: int) -> int:
        return max(1, min(self._config.max_personas, reviews // self._config.reviews_per_persona))

    def _fits(self, question: PromptRequest) -> bool:
        backend, request = self._backend, question.request
        return backend.count_tokens([request])[0] + request.sampling.max_tokens <= backend.context_tokens


def given(item: ItemText) -> list[str]:
    """The texts a summary may rest on."""
    pitch = [sentence.quote for sentence in split_sentences((item.description or "")[:_DESCRIPTION_CHARACTERS])]
    return [text for text in (item.title, item.creator, ", ".join(item.categories), *pitch) if text]


def _of_first(cited: Sequence[CitableSentence], reviews: Sequence[str], count: int) -> list[CitableSentence]:
    kept = set(reviews[:count])
    return [one for one in cited if one.review.review_id in kept]


def _called(item: ItemEvidence) -> str:
    """Title and creator of the item in a line; empty without a title."""
    told = item.item
    return ", ".join(filter(None, (told.title, told.creator))) if told.title else ""
