"""Check an LLM reply's claims against the sentences it cites (grounding), against the prompt, and for unsafe text.

Valid is not grounded: a small model fills any schema with words of the prompt. A sentence supports a claim when the
base model (MiniLM) embeds them closer together than unrelated claims and sentences; `benchmarks/grounding_threshold.py`
finds that threshold.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from persona_pipeline.extract.embedded.words import is_content, tokens, word_set
from persona_pipeline.extract.identity import label
from persona_pipeline.extract.llm.response_models import PersonaResponse
from persona_pipeline.extract.types import Embed

SUPPORT = 0.30  # cosine of a claim and a sentence from which the sentence supports it
_COPIED = 0.5  # share of a text's four-word runs that stand in the prompt
_RUN = 4
_ID_LENGTH = 4  # a shorter user id may stand in any text
_STUCK = 0.75  # share of different four-word runs above which a text is not stuck
# Words of the prompt that small models hand back for a name: "two", "three of the people", "evaluation of the people".
_NOBODY = word_set(
    """three four five six seven person persons people persona personas kind kinds type types reviewer reviewers review
    reviews user users customer customers evaluation item product name"""
)

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


def what_is_unsafe(text: str, people: AbstractSet[str] = frozenset()) -> str:
    """Name the reason why a text must not be shown to a shopper; empty for a safe text. `people` are user ids."""
    for name, pattern in _UNSAFE:
        if pattern.search(text):
            return name
    ids = (person for person in people if len(person) >= _ID_LENGTH and person in text)
    return "a user id" if any(re.search(rf"(?<!\w){re.escape(person)}(?!\w)", text) for person in ids) else ""


def claim(persona: PersonaResponse) -> str:
    """Concatenate a persona's statements, which its cited sentences must support."""
    return f"{label(persona.name, persona.description)} {persona.preference_rationale}"


def is_copied(text: str, prompt: str) -> bool:
    """Whether half of the text's four-word runs occur in the prompt."""
    runs = _runs(text)
    return bool(runs) and len(runs & _runs(prompt)) >= _COPIED * len(runs)


def names_nobody(name: str) -> bool:
    """Whether a persona's name has no word that distinguishes one kind of person from another."""
    return not any(is_content(word) and word not in _NOBODY for word in tokens(name))


def repeats_itself(text: str) -> bool:
    """Whether a quarter of the text's four-word runs are repetitions: a degenerate generation."""
    words = re.findall(r"\w+", text.casefold())
    count = len(words) - _RUN + 1
    return count >= _RUN and len(_runs(text)) <= _STUCK * count


def supporting(claim: str, sentences: Sequence[str], embed: Embed) -> list[int]:
    """Indices of the sentences that support the claim, best first."""
    found = cosines(claim, sentences, embed)
    return [int(i) for i in np.argsort(-found, kind="stable") if found[i] >= SUPPORT]


def cosines(claim: str, sentences: Sequence[str], embed: Embed) -> np.ndarray:
    """Cosine similarity of each sentence to the claim, (n,)."""
    vectors = embed([claim, *sentences])
    found: np.ndarray = vectors[1:] @ vectors[0]
    return found


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[i : i + _RUN]) for i in range(len(words) - _RUN + 1)}
