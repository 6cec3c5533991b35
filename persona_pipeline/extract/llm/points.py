"""What a model chose of a cluster becomes a persona, in words that the sentences hold: it writes nothing that is not checked.

A small model says which sentences belong together, of what they speak and whether that is praise, and is mostly right; prose
it writes is mostly not. So a persona is worded from what was chosen. The description is the model's own where every word of
it that tells something stands in sentences of two reviewers.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from persona_pipeline.extract.embedded.grammar import are_nouns, parse
from persona_pipeline.extract.embedded.lexicon import load_lexicon
from persona_pipeline.extract.embedded.personas import SUPPORTERS, goods_of
from persona_pipeline.extract.embedded.words import is_content, singular, tokens, word_set
from persona_pipeline.extract.llm.cited import Cited
from persona_pipeline.extract.llm.clusters import Cluster, stem
from persona_pipeline.extract.llm.grounding import what_is_unsafe
from persona_pipeline.extract.llm.judging import Verdict
from persona_pipeline.extract.llm.replies import PointReply
from persona_pipeline.extract.llm.requests import Request
from persona_pipeline.extract.protocol import ItemEvidence, Persona, Quote, Stance
from persona_pipeline.extract.readable import same_words

_PREPOSITION = r"\b(for|on|with|in|at|as|during|while|to)\s+"
_DETERMINER = r"(?:(my|our|his|her|your|their|a|an|the|this|that|all|every|each)\s+)?"
_LEADING = re.compile(r"^(?:the|a|an|my|our|his|her|its|their|this|that)\s+", re.IGNORECASE)
# Words that tell how people and sentences stand to each other, and nothing of the item.
_FRAME = word_set(
    """they their people reviewers find finds found say says like likes liked love enjoy praise praised want care uses
    using used use appreciate complain fault dislike works work well even also value speak"""
)
_JUDGING = word_set("great good perfect best nice better bad pretty")  # no stop words of what is said of an item
_SPOKEN = re.compile(r"\b(?:i|my|me|we|our|us|you|your)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pointed:
    """A persona, or why there is none: `silent` where the model says that there is no point."""

    persona: Persona | None
    verdict: Verdict
    detail: str = ""


def point_of(item: ItemEvidence, cluster: Cluster, reply: PointReply, request: Request) -> Pointed:
    """The persona that a reply makes of its cluster."""
    if reply.kind == "none":
        return Pointed(None, "silent")
    said = f"{reply.kind} {reply.about}"
    if found := what_is_unsafe(reply.about, {review.user_id for review in item.reviews}):
        return Pointed(None, "unsafe", f"{said}: holds {found}")
    if cluster.liked == (reply.kind == "dislikes"):
        return Pointed(None, "ungrounded", f"{said}: the stars say otherwise")
    stance: Stance = "dislikes" if reply.kind == "dislikes" else "likes"
    cited = [cluster.shown[number - 1] for number in reply.sentences]
    cited = [one for one in cited if _bears_out(one.quote, stance)]
    for about in dict.fromkeys([_LEADING.sub("", reply.about.lower()), cluster.word]):
        held = [one for one in cited if _stems(about) <= _stems(one.quote)]
        if stem(cluster.word) in _stems(about) and _agree(held):
            break
    else:
        return Pointed(None, "ungrounded", f"{said}: no two reviewers say so")
    head = singular(tokens(about)[-1])
    if head in load_lexicon().lexicon.general_nouns or (reply.kind != "uses" and head in goods_of(item)):
        return Pointed(
            None, "ungrounded", f"{said}: is the {'item' if head in goods_of(item) else 'whole'}, nothing of it"
        )
    held = _used(about, held) if reply.kind == "uses" else _judged(about, stance, held)
    worded = _worded(reply, about, held) if _agree(held) else None
    if worded is None:
        return Pointed(None, "ungrounded", f"{said}: is not what two reviewers say of it")
    name, description, rationale = worded
    members = [one for one in cluster.members if _stems(about) <= _stems(one.quote) and _bears_out(one.quote, stance)]
    ratings = {one.review.review_id: one.review.rating for one in held}
    return Pointed(
        Persona(
            item_id=item.item.item_id,
            name=name,
            description=description,
            preference_rationale=rationale,
            evidence=tuple(
                Quote("review", o.review.review_id, o.sentence.start, o.sentence.end, o.quote) for o in held
            ),
            support=len({one.review.user_id for one in members}),
            mean_rating=round(float(np.mean(list(ratings.values()))), 3),
            source="llm",
            stance=stance,
            topic=f"for {head}" if reply.kind == "uses" else " ".join([*about.split()[:-1], head]),
            request_key=request.key,
        ),
        "kept",
    )


def distinct(points: Sequence[Pointed]) -> list[Pointed]:
    """With one persona for each topic and stance, the best supported; those who dislike come last."""
    order = sorted(points, key=lambda p: (p.persona is None, -(p.persona.support if p.persona else 0)))
    met: set[tuple[str | None, Stance]] = set()
    kept = []
    for point in order:
        key = (point.persona.topic, point.persona.stance) if point.persona else None
        if key in met:
            point = replace(point, persona=None, verdict="merged")
        elif key:
            met.add(key)
        kept.append(point)
    return sorted(kept, key=lambda p: p.persona is not None and p.persona.stance == "dislikes")


def _bears_out(quote: str, stance: Stance) -> bool:
    """Whether a sentence holds nothing against the stance; a complaint may deny something."""
    loaded, words = load_lexicon(), set(tokens(quote))
    if stance == "likes":
        return not loaded.blame.search(quote)
    return not words & (loaded.lexicon.praise | loaded.lexicon.good_properties | loaded.lexicon.liking)


def _used(about: str, held: Sequence[Cited]) -> list[Cited]:
    """Those in which it is a noun, or a gerund after a preposition."""
    last = stem(tokens(about)[-1])
    forms = [next(word for word in tokens(one.quote) if stem(word) == last) for one in held]
    return [one for one, noun in zip(held, are_nouns(forms, [one.quote for one in held]), strict=True) if noun]


def _judged(about: str, stance: Stance, held: Sequence[Cited]) -> list[Cited]:
    """Those whose grammar says the same of it: "the sound is great", not "it feels good while the sound fades"."""
    last = stem(tokens(about)[-1])
    read = parse([one.quote for one in held])
    return [
        one
        for one, opinions in zip(held, read, strict=True)
        if any(stem(o.topic.split()[-1]) == last and o.stance == stance and o.form != "use" for o in opinions)
    ]


def _agree(said: Sequence[Cited]) -> bool:
    people = {one.review.user_id for one in said}
    return len(people) >= SUPPORTERS and len({same_words(one.quote) for one in said}) >= SUPPORTERS


def _stems(text: str) -> set[str]:
    return {stem(word) for word in tokens(text) if word[0].isalpha()}


def _worded(reply: PointReply, about: str, held: Sequence[Cited]) -> tuple[str, str, str] | None:
    """Name, description and rationale; None of a use that is not told as one."""
    thing = _as_said(about, held)
    if reply.kind == "uses":
        if (use := _use(thing, held)) is None:
            return None
        texts = f"Uses it {use}", f"People who use it {use}.", f"Reviewers use it {use}."
    elif reply.kind == "likes":
        texts = f"Likes the {thing}", f"People who care about the {thing}.", f"Reviewers like the {thing}."
    else:
        texts = (
            f"Faults the {thing}",
            f"People who find fault with the {thing}.",
            f"Reviewers find fault with the {thing}.",
        )
    name, composed, rationale = texts
    return name, reply.description if _is_said(reply.description, held) else composed, rationale


def _as_said(about: str, held: Sequence[Cited]) -> str:
    """In the form most of them have it; in small letters, but for an abbreviation."""
    *before, last = about.split()
    forms = Counter(
        form for one in held for form in re.findall(r"[A-Za-z]+", one.quote) if stem(form.lower()) == stem(last.lower())
    )
    form = max(sorted(forms), key=lambda form: forms[form]) if forms else last
    return " ".join([*before, form if form.isupper() and 1 < len(form) <= 4 else form.lower()])


def _use(thing: str, held: Sequence[Cited]) -> str | None:
    """As "on a train": with the preposition two of them have, my and our being a; None without one."""
    pattern = re.compile(f"{_PREPOSITION}{_DETERMINER}{re.escape(thing)}\\b", re.IGNORECASE)
    told = [found.groups() for one in held if (found := pattern.search(one.quote))]
    prepositions = Counter(preposition.lower() for preposition, _ in told)
    if not prepositions or prepositions.most_common(1)[0][1] < SUPPORTERS:
        return None
    chosen = min(prepositions, key=lambda p: (-prepositions[p], p))
    before = Counter((d or "").lower() for p, d in told if p.lower() == chosen)
    determiner = min(before, key=lambda d: (-before[d], d))
    if determiner and determiner != "the":
        determiner = "" if thing != singular(thing) else "an" if thing[0] in "aeiou" else "a"
    return " ".join(filter(None, (chosen, determiner, thing)))


def _is_said(description: str, held: Sequence[Cited]) -> bool:
    """Whether it is a sentence of people whose every telling word stands in sentences of two of them."""
    if not re.match(r"They [a-z].*[.!]$", description) or what_is_unsafe(description) or _SPOKEN.search(description):
        return False
    words = [w for w in tokens(description) if (is_content(w) or w in _JUDGING) and w not in _FRAME]
    heard: dict[str, set[str]] = {}
    for one in held:
        for word in _stems(one.quote):
            heard.setdefault(word, set()).add(one.review.user_id)
    return bool(words) and all(len(heard.get(stem(word), ())) >= SUPPORTERS for word in words)
