"""Give each persona in an item's replies one verdict: kept, merged, ungrounded or unsafe."""

import re
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Literal

from persona_pipeline.extract.identity import label
from persona_pipeline.extract.llm.citable import CitableSentence
from persona_pipeline.extract.llm.grounding import (
    claim,
    cosines,
    is_copied,
    names_nobody,
    repeats_itself,
    supporting,
    what_is_unsafe,
)
from persona_pipeline.extract.llm.requests import Request
from persona_pipeline.extract.llm.response_models import PersonaResponse
from persona_pipeline.extract.types import Embed

Verdict = Literal["kept", "merged", "ungrounded", "unsafe", "silent"]
"""`silent`: the model says that there is no persona in what it was shown."""

DUPLICATE = 0.9  # least cosine at which two personas are duplicates, regardless of their citations
SIMILAR = 0.75  # the same where they cite mostly the same
_SHARED = 0.5  # Jaccard overlap of what they cite that counts as mostly
_ITSELF = re.compile(r"\bthis persona\b", re.IGNORECASE)  # how a model may speak of the one it describes
# A persona is described; it does not speak, and is not the next of the reviews it read ("1. Review 1: My favorite strings").
_SPEAKS = re.compile(r"(?:^|[.!?]\s+)(?:I(?:'|’|\s)|review \d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AnsweredPersona:
    """A persona of a reply, the sentences it cites, and the request."""

    persona: PersonaResponse
    cited: tuple[CitableSentence, ...]
    request: Request


@dataclass(frozen=True, slots=True)
class PersonaWithVerdict:
    """A persona with its verdict; `cited` are the sentences that support it and no other persona, best first."""

    claimed: AnsweredPersona
    verdict: Verdict
    detail: str
    cited: tuple[CitableSentence, ...] = ()


def judge_personas(
    claimed: Sequence[AnsweredPersona], people: AbstractSet[str], embed: Embed
) -> list[PersonaWithVerdict]:
    """Return a verdict per persona of one item, in order.

    Args:
        claimed: the personas of one or of several replies.
        people: user ids of the reviewers.
        embed: the base model.
    """
    judged = [_judged(one, people, embed) for one in claimed]
    _merge(judged, embed)
    _share_out(judged, embed)
    return judged


def _judged(one: AnsweredPersona, people: AbstractSet[str], embed: Embed) -> PersonaWithVerdict:
    persona, prompt = one.persona, one.request.system
    said = (persona.description, persona.preference_rationale)
    text = claim(persona)
    if found := what_is_unsafe(_ITSELF.sub("they", text), people):
        return PersonaWithVerdict(one, "unsafe", f"{persona.name}: holds {found}")
    fault = ""
    if any(map(repeats_itself, said)):
        fault = "repeats itself"
    elif names_nobody(persona.name):
        fault = "names nobody"
    elif any(map(_SPEAKS.search, said)):
        fault = "speaks as a review, not of a person"
    elif persona.name.casefold() in prompt.casefold() or any(is_copied(text, prompt) for text in said):
        fault = "copied from the prompt"
    kept = [] if fault else supporting(text, [cited.quote for cited in one.cited], embed)
    if not kept:
        return PersonaWithVerdict(one, "ungrounded", f"{persona.name}: {fault or 'nothing it cites supports it'}")
    return PersonaWithVerdict(one, "kept", "", tuple(one.cited[i] for i in kept))


def _merge(judged: list[PersonaWithVerdict], embed: Embed) -> None:
    """Merge near-duplicates into the first persona of the same stance, which takes over the citations that support it."""
    kept = [i for i, one in enumerate(judged) if one.verdict == "kept"]
    if len(kept) < 2:
        return
    personas = [judged[i].claimed.persona for i in kept]
    vectors = embed([label(persona.name, persona.description) for persona in personas])
    cosine = vectors @ vectors.T
    for b in range(1, len(kept)):
        for a in range(b):
            first, second = judged[kept[a]], judged[kept[b]]
            if first.verdict != "kept" or personas[a].stance != personas[b].stance:
                continue
            left, right = set(first.cited), set(second.cited)
            same_evidence = len(left & right) >= _SHARED * len(left | right)
            same_name = personas[a].name.casefold() == personas[b].name.casefold()
            if same_name or cosine[a, b] >= DUPLICATE or (same_evidence and cosine[a, b] >= SIMILAR):
                others = [cited for cited in second.cited if cited not in left]
                known = supporting(claim(personas[a]), [cited.quote for cited in others], embed)
                judged[kept[a]] = replace(first, cited=first.cited + tuple(others[i] for i in known))
                judged[kept[b]] = PersonaWithVerdict(
                    second.claimed, "merged", f"{personas[b].name}: is {personas[a].name}"
                )
                break


def _share_out(judged: list[PersonaWithVerdict], embed: Embed) -> None:
    """Assign a sentence cited by several personas to the one it supports best; a persona left without any is ungrounded."""
    nearest: dict[CitableSentence, tuple[float, int]] = {}
    cites = Counter(cited for one in judged for cited in one.cited)
    for i, one in enumerate(judged):
        shared = [cited for cited in one.cited if cites[cited] > 1]
        for cited, cosine in zip(
            shared, cosines(claim(one.claimed.persona), [c.quote for c in shared], embed), strict=True
        ):
            nearest[cited] = max(nearest.get(cited, (-1.0, -1)), (float(cosine), -i))
    for i, one in enumerate(judged):
        own = tuple(cited for cited in one.cited if cited not in nearest or nearest[cited][1] == -i)
        if own != one.cited:
            name = one.claimed.persona.name
            judged[i] = (
                replace(one, cited=own)
                if own
                else PersonaWithVerdict(one.claimed, "ungrounded", f"{name}: what it cites speaks for other personas")
            )
