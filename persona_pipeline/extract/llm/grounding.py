"""What a reply claims, held against the sentences it cites: kept, merged, ungrounded or unsafe.

Valid is not grounded: a small model fills any schema with words of the prompt. A claim counts as supported by a sentence
when MiniLM puts them nearer together than it puts claims and sentences that have nothing to do with each other;
`benchmarks/grounding_threshold.py` finds where that is.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

import numpy as np

from persona_pipeline.extract.embedded.words import is_content, tokens, word_set
from persona_pipeline.extract.identity import label
from persona_pipeline.extract.llm.replies import PersonaReply
from persona_pipeline.extract.protocol import Embed

Verdict = Literal["kept", "merged", "ungrounded", "unsafe"]

SUPPORT = 0.30  # cosine of a claim and a sentence from which the sentence supports it
DUPLICATE = 0.9  # cosine of two personas from which they are one, whatever they cite
SIMILAR = 0.75  # the same where they cite mostly the same
_SHARED = 0.5  # Jaccard overlap of what they cite that counts as mostly
_COPIED = 0.5  # share of a text's four-word runs that stand in the prompt
_RUN = 4
_ID_LENGTH = 4  # a shorter user id may stand in any text
_ITSELF = re.compile(r"\bthis persona\b", re.IGNORECASE)  # how a model may speak of the one it describes
_STUCK = 0.75  # share of different four-word runs above which a text is not stuck
# Words of the prompt that small models hand back for a name: "two", "three of the people", "evaluation of the people".
_NOBODY = word_set(
    """three four five six seven person persons people persona personas kind kinds type types reviewer reviewers review
    reviews user users customer customers evaluation item product name"""
)
# A persona is described; it does not speak, and is not the next of the reviews it read ("1. Review 1: My favorite strings").
_SPEAKS = re.compile(r"(?:^|[.!?]\s+)(?:I(?:'|’|\s)|review \d)", re.IGNORECASE)

_UNSAFE = (
    ("a web address", re.compile(r"https?:|www\.|\w\.(?:com|net|org|io)\b", re.IGNORECASE)),
    ("markup", re.compile(r"[<>‹›{}`]|\[[^\]]*\]|&\w+;|\*\*|^#", re.MULTILINE)),
    ("an e-mail address", re.compile(r"\S@\S")),
    ("a telephone number", re.compile(r"\+?\d[\d\s().-]{7,}\d")),
    (
        "an instruction",
        re.compile(
            r"\b(?:ignore|disregard|forget|override|bypass)\b[^.]{0,40}\b(?:instruction|prompt|rule|above|previous|schema|told)"
            r"|\b(?:system|assistant|developer|user|human|ai)\s*:|\b(?:system|hidden|secret) (?:prompt|message)\b"
            r"|\b(?:as an?|you,? the|dear|hey|attention,?) (?:ai|llm|assistant|(?:language )?model)\b|\blanguage models?\b"
            r"|\byou (?:must|are now|will now|have to now)\b|\b(?:your|new|following) instructions?\b"
            r"|\b(?:respond|reply|answer|output|print|return|emit)\b[^.]{0,30}\b(?:with|only|exactly|json|true|null)\b"
            r"|\bjson\b|\bpersonas?\b|\bsentence (?:number|\d)|\bjailbreak|\bdeveloper mode\b|\bend of (?:the )?reviews?\b",
            re.IGNORECASE,
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A persona of a reply with its verdict; `sentences` are the cited ones that support it, best first."""

    persona: PersonaReply
    verdict: Verdict
    detail: str
    sentences: tuple[int, ...] = ()


def what_is_unsafe(text: str, people: AbstractSet[str] = frozenset()) -> str:
    """What must not be shown to a shopper, in words; empty for a safe text. `people` are user ids."""
    for name, pattern in _UNSAFE:
        if pattern.search(text):
            return name
    ids = (person for person in people if len(person) >= _ID_LENGTH and person in text)
    return "a user id" if any(re.search(rf"(?<!\w){re.escape(person)}(?!\w)", text) for person in ids) else ""


def claim(persona: PersonaReply) -> str:
    """All a persona says, as what it cites must support."""
    return f"{label(persona.name, persona.description)} {persona.preference_rationale}"


def is_copied(text: str, prompt: str) -> bool:
    """Whether half of the text's four-word runs stand in the prompt."""
    runs = _runs(text)
    return bool(runs) and len(runs & _runs(prompt)) >= _COPIED * len(runs)


def names_nobody(name: str) -> bool:
    """Whether a name has no word that tells one kind of person from another."""
    return not any(is_content(word) and word not in _NOBODY for word in tokens(name))


def repeats_itself(text: str) -> bool:
    """Whether a quarter of the text's four-word runs are there already: a model that got stuck."""
    words = re.findall(r"\w+", text.casefold())
    count = len(words) - _RUN + 1
    return count >= _RUN and len(_runs(text)) <= _STUCK * count


def supporting(claim: str, sentences: Sequence[str], embed: Embed) -> list[int]:
    """Places of the sentences that support the claim, best first."""
    vectors = embed([claim, *sentences])
    cosines = vectors[1:] @ vectors[0]
    return [int(i) for i in np.argsort(-cosines, kind="stable") if cosines[i] >= SUPPORT]


def judge_personas(
    personas: Sequence[PersonaReply], sentences: Sequence[str], people: AbstractSet[str], prompt: str, embed: Embed
) -> list[Judged]:
    """A verdict per persona, in order.

    Args:
        personas: of one item.
        sentences: what the numbers 1, 2, ... of the prompt stood for.
        people: user ids of the reviewers.
        prompt: the instructions, whose words are not evidence.
        embed: the base model.
    """
    judged: list[Judged] = []
    for persona in personas:
        text = claim(persona)
        if found := what_is_unsafe(_ITSELF.sub("they", text), people):
            judged.append(Judged(persona, "unsafe", f"{persona.name}: holds {found}"))
        elif repeats_itself(persona.description) or repeats_itself(persona.preference_rationale):
            judged.append(Judged(persona, "ungrounded", f"{persona.name}: repeats itself"))
        elif names_nobody(persona.name):
            judged.append(Judged(persona, "ungrounded", f"{persona.name}: names nobody"))
        elif _SPEAKS.search(persona.description) or _SPEAKS.search(persona.preference_rationale):
            judged.append(Judged(persona, "ungrounded", f"{persona.name}: speaks as a review, not of a person"))
        elif is_copied(persona.description, prompt) or is_copied(persona.preference_rationale, prompt):
            judged.append(Judged(persona, "ungrounded", f"{persona.name}: copied from the prompt"))
        else:
            cited = [sentences[number - 1] for number in persona.sentences]
            kept = supporting(text, cited, embed)
            if kept:
                judged.append(Judged(persona, "kept", "", tuple(persona.sentences[i] for i in kept)))
            else:
                judged.append(Judged(persona, "ungrounded", f"{persona.name}: nothing it cites supports it"))
    return _merge(judged, embed)


def _merge(judged: list[Judged], embed: Embed) -> list[Judged]:
    """Near-duplicates join the first of their kind, which takes over what they cite."""
    kept = [i for i, one in enumerate(judged) if one.verdict == "kept"]
    if len(kept) < 2:
        return judged
    vectors = embed([label(judged[i].persona.name, judged[i].persona.description) for i in kept])
    cosine = vectors @ vectors.T
    for b in range(1, len(kept)):
        for a in range(b):
            first, second = judged[kept[a]], judged[kept[b]]
            if first.verdict != "kept":
                continue
            left, right = set(first.sentences), set(second.sentences)
            same_evidence = len(left & right) >= _SHARED * len(left | right)
            same_name = first.persona.name.casefold() == second.persona.name.casefold()
            if same_name or cosine[a, b] >= DUPLICATE or (same_evidence and cosine[a, b] >= SIMILAR):
                union = tuple(dict.fromkeys(first.sentences + second.sentences))
                judged[kept[a]] = Judged(first.persona, "kept", "", union)
                judged[kept[b]] = Judged(second.persona, "merged", f"{second.persona.name}: is {first.persona.name}")
                break
    return judged


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[i : i + _RUN]) for i in range(len(words) - _RUN + 1)}
