"""Convert outcomes into aspects, summaries and personas, as far as they are grounded and safe; all else into refusals."""

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from persona_pipeline.extract.identity import label
from persona_pipeline.extract.llm.citable import CitableSentence
from persona_pipeline.extract.llm.clusters import Cluster, ClusterOutcome, cluster_outcome
from persona_pipeline.extract.llm.grounding import (
    claim,
    is_copied,
    repeats_itself,
    supporting,
    what_is_unsafe,
)
from persona_pipeline.extract.llm.outcomes import Outcome
from persona_pipeline.extract.llm.persona_verdicts import AnsweredPersona, PersonaWithVerdict, Verdict, judge_personas
from persona_pipeline.extract.llm.request_builder import given
from persona_pipeline.extract.llm.response_models import (
    AspectsResponse,
    ClusterResponse,
    PersonaResponse,
    PersonasResponse,
    SummaryResponse,
)
from persona_pipeline.extract.llm.stance import complains, stance_of
from persona_pipeline.extract.sentences import Sentence
from persona_pipeline.extract.types import (
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
)

_JOINED = "; "  # two aspects of one kind


def aspects_of(
    review: ReviewText, sentences: Sequence[Sentence], outcome: Outcome, embed: Embed
) -> tuple[ReviewAspects | None, list[Refusal]]:
    """A review's aspects, or None without a valid reply. `embed` knows `aspect_texts`."""
    if outcome.value is None:
        return None, [Refusal(review.review_id, outcome.name, outcome.detail)]
    assert isinstance(outcome.value, AspectsResponse)
    texts: dict[AspectName, str] = {}
    evidence: list[AspectQuote] = []
    refused: dict[str, list[str]] = {}
    for aspect in outcome.value.aspects:
        name, said = aspect.aspect, f"{aspect.aspect} “{aspect.text}”"
        cited = [sentences[number - 1] for number in aspect.sentences]
        if found := what_is_unsafe(aspect.text, {review.user_id}):
            refused.setdefault("unsafe", []).append(f"{said} holds {found}")
        elif repeats_itself(aspect.text):
            refused.setdefault("ungrounded", []).append(f"{said} repeats itself")
        elif any(aspect.text in text.split(_JOINED) for text in texts.values()):
            refused.setdefault("ungrounded", []).append(f"{said} is what another aspect says already")
        elif is_copied(aspect.text, outcome.request.system):
            refused.setdefault("ungrounded", []).append(f"{said} is copied from the prompt")
        elif kept := supporting(aspect.text, [sentence.quote for sentence in cited], embed):
            texts[name] = _JOINED.join(filter(None, (texts.get(name), aspect.text)))
            evidence += [AspectQuote(name, cited[i].start, cited[i].end, cited[i].quote) for i in kept]
        else:
            refused.setdefault("ungrounded", []).append(f"{said} is not in what it cites")
    refusals = [Refusal(review.review_id, reason, "; ".join(why)) for reason, why in refused.items()]
    return ReviewAspects(review.review_id, texts, tuple(dict.fromkeys(evidence))), refusals


def summary_of(item: ItemEvidence, outcome: Outcome, embed: Embed) -> tuple[ItemSummary | None, list[Refusal]]:
    """An item's summary, or None without a valid, grounded reply. `embed` knows `summary_texts`."""
    item_id = item.item.item_id
    if outcome.value is None:
        return None, [Refusal(item_id, outcome.name, outcome.detail)]
    assert isinstance(outcome.value, SummaryResponse)
    text = outcome.value.summary
    if found := what_is_unsafe(text, _people(item)):
        return None, [Refusal(item_id, "unsafe", f"the summary holds {found}")]
    if repeats_itself(text):
        return None, [Refusal(item_id, "ungrounded", f"repeats itself: {text[:200]}")]
    if is_copied(text, outcome.request.system) or not supporting(text, given(item.item), embed):
        return None, [Refusal(item_id, "ungrounded", f"not in what was given: {text[:200]}")]
    return ItemSummary(item_id, text, "metadata"), []


@dataclass(frozen=True, slots=True)
class PersonaAnswer:
    """Outcome of one request about an item's personas; `cited` are the sentences its numbers refer to."""

    cited: Sequence[CitableSentence]
    outcome: Outcome
    point: Cluster | None = None

    @property
    def personas(self) -> Sequence[PersonaResponse]:
        """The personas of the reply; empty without a reply, or for a request about a cluster."""
        reply = self.outcome.value
        return reply.personas if isinstance(reply, PersonasResponse) else []

    def texts(self) -> Iterator[str]:
        """Texts that `personas_of` will embed."""
        for persona in self.personas:
            yield claim(persona)
            yield label(persona.name, persona.description)
            yield from (self.cited[number - 1].quote for number in persona.sentences)


def personas_of(
    item: ItemEvidence, answered: Sequence[PersonaAnswer], embed: Embed
) -> tuple[list[Persona], list[Refusal], Counter[Verdict]]:
    """An item's personas, disliking ones last, best supported first. `embed` knows the replies' `texts`.

    Empty where the item keeps its earlier personas: no persona was kept, or an engine failed, so that a retry may give
    more. Also returns the refusals, and the verdicts, one per persona in the replies.
    """
    item_id = item.item.item_id
    claimed = [
        AnsweredPersona(persona, tuple(one.cited[number - 1] for number in persona.sentences), one.outcome.request)
        for one in answered
        for persona in one.personas
    ]
    judged = judge_personas(claimed, _people(item), embed)
    points = [
        cluster_outcome(one.point, one.outcome.value, one.outcome.request)
        for one in answered
        if one.point and isinstance(one.outcome.value, ClusterResponse)
    ]
    refused: dict[str, list[str]] = {}
    for one in answered:
        if one.outcome.value is None:
            refused.setdefault(one.outcome.name, []).append(one.outcome.detail)
    all_found: list[PersonaWithVerdict | ClusterOutcome] = [*judged, *points]
    for found in all_found:
        if found.verdict in ("ungrounded", "unsafe"):
            refused.setdefault(found.verdict, []).append(found.detail)
    refusals = [Refusal(item_id, reason, "; ".join(why)) for reason, why in refused.items()]
    verdicts = Counter(found.verdict for found in all_found)
    if "engine_error" in refused:
        return [], refusals, verdicts
    personas = [kept_persona(item_id, one) for one in judged if one.verdict == "kept"]
    personas += [one.persona for one in points if one.persona]
    return sorted(personas, key=lambda p: (p.stance == "dislikes", -p.support)), refusals, verdicts


def aspect_texts(outcome: Outcome, sentences: Sequence[Sentence]) -> Iterator[str]:
    """Texts that `aspects_of` will embed."""
    for aspect in outcome.value.aspects if isinstance(outcome.value, AspectsResponse) else ():
        yield aspect.text
        yield from (sentences[number - 1].quote for number in aspect.sentences)


def summary_texts(item: ItemEvidence, outcome: Outcome) -> Iterator[str]:
    """Texts that `summary_of` will embed."""
    if isinstance(outcome.value, SummaryResponse):
        yield outcome.value.summary
        yield from given(item.item)


def kept_persona(item_id: str, judged: PersonaWithVerdict) -> Persona:
    """Convert a persona that was kept; its stance is what stars and words of the quotes support."""
    spans, said = judged.cited, judged.claimed.persona
    ratings = {span.review.review_id: span.review.rating for span in spans}
    stance = stance_of(said.stance, list(ratings.values()), [span.quote for span in spans])
    if stance == "likes":  # nothing but praise is quoted as a reason
        spans = tuple(span for span in spans if not complains(span.quote))
    return Persona(
        item_id=item_id,
        name=said.name,
        description=said.description,
        preference_rationale=said.preference_rationale,
        evidence=tuple(Quote("review", s.review.review_id, s.sentence.start, s.sentence.end, s.quote) for s in spans),
        support=len({span.review.user_id for span in spans}),
        mean_rating=round(float(np.mean(list(ratings.values()))), 3),
        source="llm",
        stance=stance,
        request_key=judged.claimed.request.key,
    )


def _people(item: ItemEvidence) -> AbstractSet[str]:
    return {review.user_id for review in item.reviews}
