"""Find topics several reviewers agree on by grammar (`per_cluster`), and turn an LLM's reply about each into a persona.

No LLM output is trusted unchecked: a small model calls everything liked, and writes prose that no sentence supports. So
topic and stance are those of the sentences, the LLM may drop sentences, or the whole topic, and its description stands
only if every content word of it is in sentences of two reviewers; else the persona is worded as without an LLM.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from persona_pipeline.extract.embedded.aspects import aspects_of
from persona_pipeline.extract.embedded.lexicon import load_lexicon
from persona_pipeline.extract.embedded.personas import (
    SUPPORTERS,
    Group,
    QuotedRemark,
    agree,
    groups_of,
    persona_of,
    quotes_of,
)
from persona_pipeline.extract.embedded.remarks import read_remarks
from persona_pipeline.extract.embedded.shop import Shop, shop_of_item
from persona_pipeline.extract.embedded.words import is_content, tokens, word_set
from persona_pipeline.extract.llm.grounding import what_is_unsafe
from persona_pipeline.extract.llm.persona_verdicts import Verdict
from persona_pipeline.extract.llm.requests import Request
from persona_pipeline.extract.llm.response_models import ClusterResponse
from persona_pipeline.extract.types import ItemEvidence, Persona, Stance

_STEM = 6  # letters by which two words are one
# Words that tell how people and sentences stand to each other, and nothing of the item.
_FRAME = word_set(
    """they their people reviewers find finds found say says like likes liked love enjoy praise praised want care uses
    using used use appreciate complain fault dislike works work well even also value speak"""
)
_JUDGING = word_set("great good perfect best nice better bad pretty")  # judgements, though stop words elsewhere
_SPOKEN = re.compile(r"\b(?:i|my|me|we|our|us|you|your)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Remarks on one topic of an item, and the sentences that a request shows."""

    item: ItemEvidence
    shop: Shop
    group: Group
    shown: tuple[QuotedRemark, ...]


@dataclass(frozen=True, slots=True)
class ClusterOutcome:
    """Result for a cluster: a persona, or none, with a verdict and a reason."""

    persona: Persona | None
    verdict: Verdict
    detail: str = ""


def clusters_of(items: Sequence[ItemEvidence], most: Sequence[int]) -> Iterator[list[Cluster]]:
    """Find at most `most` clusters of each item, liking ones first, each by support. All reviews are parsed in one batch."""
    remarks = read_remarks([review for item in items for review in item.reviews])
    for item, count in zip(items, most, strict=True):
        read = [tuple(remark for remark in next(remarks) if not what_is_unsafe(remark.quote)) for _ in item.reviews]
        aspects = [aspects_of(review.review_id, said) for review, said in zip(item.reviews, read, strict=True)]
        shop = shop_of_item(remark for said in read for remark in said)
        known = replace(item, aspects=tuple(aspects))
        yield [Cluster(known, shop, group, tuple(quotes_of(group))) for group in groups_of(known, shop, count)]


def cluster_outcome(point: Cluster, reply: ClusterResponse, request: Request) -> ClusterOutcome:
    """Build the persona from a reply about a cluster."""
    kept = [point.shown[number - 1] for number in reply.sentences]
    if not agree(kept):
        return ClusterOutcome(None, "silent")
    people = {review.user_id for review in point.item.reviews}
    if found := what_is_unsafe(reply.description, people):
        return ClusterOutcome(None, "unsafe", f"{point.group.topic}: holds {found}")
    persona = persona_of(point.item.item.item_id, point.group, kept, point.shop)
    if is_said(reply.description, kept, point.group.stance):
        persona = replace(persona, description=reply.description)
    return ClusterOutcome(replace(persona, source="llm", request_key=request.key), "kept")


def is_said(description: str, quotes: Sequence[QuotedRemark], stance: Stance) -> bool:
    """Whether a description is one sentence about people whose content words are each in sentences of two, with no denial."""
    loaded = load_lexicon()
    if not re.match(r"They [a-z].*[.!]$", description) or _SPOKEN.search(description):
        return False
    # The same words with a "not" among them say the opposite.
    if loaded.doubtful(description) or loaded.against(stance).search(description):
        return False
    heard: dict[str, set[str]] = {}
    for one in quotes:
        for word in tokens(one.remark.quote):
            heard.setdefault(_stem(word), set()).add(one.review.user_id)
    telling = [w for w in tokens(description) if (is_content(w) or w in _JUDGING) and w not in _FRAME]
    return bool(telling) and all(len(heard.get(_stem(word), ())) >= SUPPORTERS for word in telling)


def _stem(word: str) -> str:
    """First letters of a word without possessive or plural; the same for most inflections of one word."""
    word = word.removesuffix("'s")
    return (word.removesuffix("s") if not word.endswith("ss") else word)[:_STEM]
