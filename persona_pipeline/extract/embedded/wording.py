"""A cluster becomes a persona: a name, sentences a shopper can read, and the quotes that bear every word of them out.

Quotes are chosen first. Whatever the sentences then mention (people, places, details) is looked up in those quotes, so a
description cannot claim what its evidence does not say. Variants of wording are picked by a hash of item and motive:
texts vary between items and never between runs.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from persona_pipeline.extract.embedded.clusters import Cluster
from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.vocabulary import Motive, Vocabulary, Wording
from persona_pipeline.extract.embedded.words import Background, base_form, is_content, shown_form, tokens
from persona_pipeline.extract.protocol import Persona, Quote

MAX_QUOTES = 5
_LEANING = re.compile(r"(?:and|but|so|however|also|it|they|this|that|these|those|he|she|which|because|or|then|plus|though)\b", re.I)


@dataclass(frozen=True, slots=True, eq=False)
class ItemWords:
    """What wording a persona needs to know of the whole item."""

    item_id: str
    title: str
    remarks: Sequence[Remark]
    background: Background


def word_personas(clusters: Sequence[Cluster], item: ItemWords, vocabulary: Vocabulary) -> list[Persona]:
    """One persona per cluster, in order, no two with the same name."""
    personas: list[Persona] = []
    for cluster in clusters:
        taken = {persona.name for persona in personas}
        persona = _word(cluster, item, vocabulary, taken)
        if persona is not None:
            personas.append(persona)
    return personas


def _word(cluster: Cluster, item: ItemWords, vocabulary: Vocabulary, taken: set[str]) -> Persona | None:
    motive = cluster.motive
    own = _pick(cluster, item.background, MAX_QUOTES if motive is None or not motive.tells_who else 3)
    beside = _beside(cluster, item, vocabulary, own)
    chosen = own + [remark for remark, _ in beside]
    quotes = [remark.quote for remark in chosen]
    things = _things(cluster, item, quotes)
    wording: Motive | Wording
    if motive is not None:
        wording = motive
    elif cluster.critical:
        wording = vocabulary.critical_general
    else:
        wording = vocabulary.theme if things else vocabulary.general
    people = _people(quotes + [item.title], item, vocabulary)
    thing = things[0] if things else ""
    slots = {"people": people, "thing": thing, "Thing": _upper(thing), "the_thing": f"the {thing}", "The_thing": f"The {thing}"}
    seed = f"{item.item_id}/{motive.key if motive else thing}"
    name = _name(wording.names, slots, seed, taken)
    if not name:
        return None
    sentences = [_vary(wording.describe, seed).format(**slots)]
    sentences += _further(motive, cluster.critical, things if motive else things[1:], quotes, [m for _, m in beside], vocabulary, seed)
    ratings = {remark.review.review_id: remark.review.rating for remark in cluster.remarks}
    return Persona(
        item_id=item.item_id,
        name=name,
        description=" ".join(sentences[:3]),
        preference_rationale=f"{_vary(wording.rationale, seed).format(**slots)}: “{_inner(quotes[0])}”.",
        evidence=tuple(Quote("review", r.review.review_id, r.sentence.start, r.sentence.end, r.quote) for r in chosen),
        support=cluster.support,
        mean_rating=round(float(np.mean(list(ratings.values()))), 3),
        source="embedded",
    )


def _pick(cluster: Cluster, background: Background, most: int) -> list[Remark]:
    """The most telling remarks, the representative first: one per reviewer, no wording twice."""
    centroid = cluster.centroid
    motive = cluster.motive
    scored = sorted(cluster.remarks, key=lambda r: (-_telling(r, centroid, motive, background), r.quote, r.review.review_id))
    picked: list[Remark] = []
    heard: set[str] = set()
    for remark in scored:
        plain = " ".join(tokens(remark.quote))
        if remark.review.user_id not in heard and plain not in heard:
            picked.append(remark)
            heard |= {remark.review.user_id, plain}
        if len(picked) == most:
            break
    return picked


def _telling(remark: Remark, centroid: np.ndarray, motive: Motive | None, background: Background) -> float:
    """How well a remark speaks for its cluster, and how well it reads on its own."""
    words = remark.quote.split()
    content = [word for word in tokens(remark.quote) if is_content(word)]
    density = sum(min(background.rarity(word), 3.0) for word in content if background.is_known(word)) / (3.0 * max(len(words), 1))
    score = float(remark.vector @ centroid) + 0.35 * density
    if motive is not None:
        score += 0.8 * float(remark.fits.max()) if motive.critical else 0.8 * float(np.max(remark.fits))
    score -= 0.15 * bool(_LEANING.match(remark.quote))
    score -= 0.02 * max(0, len(words) - 22) + 0.06 * max(0, 7 - len(words))
    score -= 0.3 * remark.quote.isupper() + 0.05 * remark.quote[0].islower() + 0.2 * remark.quote.endswith(("?", ":", "...", "…", ","))
    score -= 0.1 * sum(not background.is_known(word) for word in content)
    return score


def _beside(cluster: Cluster, item: ItemWords, vocabulary: Vocabulary, own: Sequence[Remark]) -> list[tuple[Remark, Motive]]:
    """What the same people also say: for people with a purpose up to two things they value."""
    if cluster.motive is None or cluster.critical or not cluster.motive.tells_who:
        return []
    reviews = {remark.review.review_id for remark in cluster.remarks}
    inside = {id(remark) for remark in cluster.remarks}
    best: dict[int, list[Remark]] = {}
    for remark in item.remarks:
        if remark.review.review_id not in reviews or id(remark) in inside or not remark.fits.any():
            continue
        j = int(np.argmax(remark.fits))
        if not vocabulary.motives[j].tells_who and not vocabulary.motives[j].critical:
            best.setdefault(j, []).append(remark)
    ranked = sorted(best, key=lambda j: (-len({r.review.user_id for r in best[j]}), j))[:2]
    found = []
    for j in ranked:
        remark = max(best[j], key=lambda r: (float(r.fits[j]) - 0.01 * max(0, len(r.quote.split()) - 22), r.quote))
        found.append((remark, vocabulary.motives[j]))
    return found


def _things(cluster: Cluster, item: ItemWords, quotes: Sequence[str]) -> list[str]:
    """Up to three nouns that set the cluster apart from the item's other remarks, as the quotes spell them."""
    inside = item.background.things(remark.quote for remark in cluster.remarks)
    everywhere = item.background.things(remark.quote for remark in item.remarks)
    shares = {thing: count / len(cluster.remarks) for thing, count in inside.items()}
    lift = {thing: shares[thing] / (everywhere[thing] / len(item.remarks)) for thing in inside}
    named = set(tokens(cluster.motive.value)) | {base_form(w) for w in tokens(item.title)} if cluster.motive else set()
    good = [
        thing
        for thing, count in inside.items()
        if count >= 2 and lift[thing] > 1.0 and everywhere[thing] * 3 < len(item.remarks) + 6 and not named & set(thing.split())
    ]
    good.sort(key=lambda t: (-inside[t] * min(lift[t], 4.0) * sum(item.background.rarity(w) for w in t.split()), t))
    found: list[str] = []
    for thing in good:
        form = shown_form(thing, quotes)
        if form and not any(set(form.split()) & set(other.split()) for other in found):
            found.append(form)
    return found[:3]


def _people(quotes: Sequence[str], item: ItemWords, vocabulary: Vocabulary) -> str:
    """Which people the item is for ("guitarists"), if much of the item says so and these quotes do too; else empty."""
    counts = []
    for name, cue in vocabulary.people:
        reviewers = {r.review.user_id for r in item.remarks if cue.search(r.quote)}
        counts.append((len(reviewers), name, cue))
    count, name, cue = max(counts, key=lambda entry: (entry[0], entry[1]))
    everyone = len({r.review.user_id for r in item.remarks})
    return name if count * 3 >= everyone and any(cue.search(quote) for quote in quotes) else ""


def _further(
    motive: Motive | None,
    critical: bool,
    things: Sequence[str],
    quotes: Sequence[str],
    valued: Sequence[Motive],
    vocabulary: Vocabulary,
    seed: str,
) -> list[str]:
    """Sentences after the first: details from the quotes, the things they mention, what else they value."""
    sentences = []
    if motive is not None and motive.mentions:
        phrases = list(dict.fromkeys(phrase for pattern, phrase in motive.mentions if any(pattern.search(q) for q in quotes)))
        if phrases:
            sentences.append(motive.detail.format(mentions=_enumerate(phrases[:3])))
    if valued:
        values = _enumerate([m.value for m in valued])
        sentences.append(_vary(vocabulary.sentences["values"], seed).format(values=values))
    elif things:
        sentences.append(_vary(vocabulary.sentences["things"], seed).format(things=_enumerate([f"the {t}" for t in things])))
    return sentences


def _name(forms: Sequence[str], slots: dict[str, str], seed: str, taken: set[str]) -> str:
    """A form whose slots are filled and whose name is free; one that names the people is preferred."""
    ready = [form for form in forms if all(slots[slot] for slot in re.findall(r"\{(\w+)\}", form))]
    start = zlib.crc32(seed.encode()) % max(len(ready), 1)
    ordered = sorted(ready[start:] + ready[:start], key=lambda form: "{people}" not in form)
    names = [form.format(**slots) for form in ordered]
    return next((name for name in names if name not in taken and len(name.split()) <= 3), "")


def _vary(forms: Sequence[str], seed: str) -> str:
    return forms[zlib.crc32(f"{seed}/{forms[0]}".encode()) % len(forms)]


def _enumerate(phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def _inner(quote: str) -> str:
    """The quote as it stands inside a sentence: without its own outer quotation marks and final full stop."""
    return quote.strip("\"“”").rstrip(" .").replace("“", "‘").replace("”", "’")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
