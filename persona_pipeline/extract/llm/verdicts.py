"""Outcomes to aspects, summaries and personas, as far as they are grounded and safe; the rest to refusals."""

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal

import numpy as np

from persona_pipeline.extract.identity import label
from persona_pipeline.extract.llm.grounding import (
    Judged,
    Verdict,
    claim,
    is_copied,
    judge_personas,
    repeats_itself,
    supporting,
    what_is_unsafe,
)
from persona_pipeline.extract.llm.outcomes import Outcome
from persona_pipeline.extract.llm.questions import Cited, given
from persona_pipeline.extract.llm.replies import AspectsReply, PersonasReply, SummaryReply
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
)
from persona_pipeline.extract.sentences import Sentence


def aspects_of(
    review: ReviewText, sentences: Sequence[Sentence], outcome: Outcome, embed: Embed
) -> tuple[ReviewAspects | None, list[Refusal]]:
    """A review's aspects, or None without an answer. `embed` knows `aspect_texts`."""
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
        elif repeats_itself(aspect.text):
            refused.setdefault("ungrounded", []).append(f"{name} “{aspect.text}” repeats itself")
        elif aspect.text in texts.values():
            refused.setdefault("ungrounded", []).append(f"{name} “{aspect.text}” is what another aspect says already")
        elif is_copied(aspect.text, outcome.request.system):
            refused.setdefault("ungrounded", []).append(f"{name} “{aspect.text}” is copied from the prompt")
        elif kept := supporting(aspect.text, [sentence.quote for sentence in cited], embed):
            texts[name] = aspect.text
            evidence += [AspectQuote(name, cited[i].start, cited[i].end, cited[i].quote) for i in kept]
        else:
            refused.setdefault("ungrounded", []).append(f"{name} “{aspect.text}” is not in what it cites")
    refusals = [Refusal(review.review_id, reason, "; ".join(why)) for reason, why in refused.items()]
    return ReviewAspects(review.review_id, texts, tuple(evidence)), refusals


def summary_of(item: ItemEvidence, outcome: Outcome, embed: Embed) -> tuple[ItemSummary | None, list[Refusal]]:
    """An item's summary, or None without one to believe. `embed` knows `summary_texts`."""
    item_id = item.item.item_id
    if outcome.value is None:
        return None, [Refusal(item_id, outcome.name, outcome.detail)]
    assert isinstance(outcome.value, SummaryReply)
    text = outcome.value.summary
    if found := what_is_unsafe(text, _people(item)):
        return None, [Refusal(item_id, "unsafe", f"the summary holds {found}")]
    if repeats_itself(text):
        return None, [Refusal(item_id, "ungrounded", f"repeats itself: {text[:200]}")]
    if is_copied(text, outcome.request.system) or not supporting(text, given(item), embed):
        return None, [Refusal(item_id, "ungrounded", f"not in what was given: {text[:200]}")]
    source: Literal["metadata", "reviews"] = "metadata" if item.item.title or item.item.description else "reviews"
    return ItemSummary(item_id, text, source), []


def personas_of(
    item: ItemEvidence, cited: Sequence[Cited], outcome: Outcome, embed: Embed
) -> tuple[list[Persona], list[Refusal], Counter[Verdict]]:
    """An item's personas, best supported first; none at all where the item keeps those it has. `embed` knows `persona_texts`.

    With the verdicts on what was answered, one for each persona in the reply.
    """
    item_id = item.item.item_id
    if outcome.value is None:
        return [], [Refusal(item_id, outcome.name, outcome.detail)], Counter()
    assert isinstance(outcome.value, PersonasReply)
    quotes = [one.sentence.quote for one in cited]
    judged = judge_personas(outcome.value.personas, quotes, _people(item), outcome.request.system, embed)
    personas = [_persona(item_id, one, cited) for one in judged if one.verdict == "kept"]
    refused: dict[str, list[str]] = {}
    for one in judged:
        if one.verdict in ("ungrounded", "unsafe"):
            refused.setdefault(one.verdict, []).append(one.detail)
    refusals = [Refusal(item_id, reason, "; ".join(why)) for reason, why in refused.items()]
    return sorted(personas, key=lambda p: -p.support), refusals, Counter(one.verdict for one in judged)


def aspect_texts(outcome: Outcome, sentences: Sequence[Sentence]) -> Iterator[str]:
    """What `aspects_of` will embed."""
    for name in ASPECT_NAMES if outcome.value is not None else ():
        aspect = getattr(outcome.value, name)
        if aspect is not None:
            yield aspect.text
            yield from (sentences[number - 1].quote for number in aspect.sentences)


def summary_texts(item: ItemEvidence, outcome: Outcome) -> Iterator[str]:
    """What `summary_of` will embed."""
    if isinstance(outcome.value, SummaryReply):
        yield outcome.value.summary
        yield from given(item)


def persona_texts(outcome: Outcome, cited: Sequence[Cited]) -> Iterator[str]:
    """What `personas_of` will embed."""
    for persona in outcome.value.personas if isinstance(outcome.value, PersonasReply) else ():
        yield claim(persona)
        yield label(persona.name, persona.description)
        yield from (cited[number - 1].sentence.quote for number in persona.sentences)


def _persona(item_id: str, judged: Judged, cited: Sequence[Cited]) -> Persona:
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
        stance="mixed",
    )


def _people(item: ItemEvidence) -> AbstractSet[str]:
    return {review.user_id for review in item.reviews}
