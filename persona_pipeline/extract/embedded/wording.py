"""A cluster becomes a persona: a name, sentences a shopper can read, and the quotes that bear them out.

Quotes are chosen first. Whatever the sentences then mention (people, places, details) is looked up in those quotes, so
a description cannot claim what its evidence does not say. Variants of wording are picked by a hash of item and motive:
texts vary between items and never between runs.
"""

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from persona_pipeline.extract.embedded.clusters import Cluster, reviewers
from persona_pipeline.extract.embedded.quotes import further_quotes, own_quotes
from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.tone import affirmed
from persona_pipeline.extract.embedded.vocabulary import Motive, Vocabulary, Wording
from persona_pipeline.extract.embedded.words import Background, base_form, shown_form, tokens
from persona_pipeline.extract.protocol import Persona, Quote


@dataclass(frozen=True, slots=True, eq=False)
class ItemWords:
    """What wording its personas takes from the whole item."""

    item_id: str
    title: str
    remarks: Sequence[Remark]
    things: Mapping[str, int]  # base form -> remarks that mention it
    people: tuple[str, re.Pattern[str]] | None  # who most reviewers are ("guitarists") and the cue that tells


def item_words(
    item_id: str, title: str, remarks: Sequence[Remark], background: Background, vocabulary: Vocabulary
) -> ItemWords:
    """Count an item's things, and find whose item it is: people a third of its reviewers give away."""
    things = Counter(thing for remark in remarks for thing in background.things(remark.words))
    counts = [reviewers(r for r in remarks if cue.search(r.quote)) for _, cue in vocabulary.people]
    most = max(counts)
    people = vocabulary.people[counts.index(most)] if most * 3 >= reviewers(remarks) else None
    return ItemWords(item_id, title, remarks, things, people)


def word_personas(
    clusters: Sequence[Cluster], item: ItemWords, background: Background, vocabulary: Vocabulary
) -> list[Persona]:
    """One persona per cluster, in order, no two with the same name."""
    personas: list[Persona] = []
    for cluster in clusters:
        persona = _word(cluster, item, background, vocabulary, {persona.name for persona in personas})
        if persona is not None:
            personas.append(persona)
    return personas


def _word(
    cluster: Cluster, item: ItemWords, background: Background, vocabulary: Vocabulary, taken: set[str]
) -> Persona | None:
    own = own_quotes(cluster, background)
    beside = further_quotes(cluster, own, item.remarks, vocabulary)
    chosen = own + [remark for remark, _ in beside]
    quotes = [remark.quote for remark in chosen]
    wording = _wording(cluster, background, vocabulary)
    slots = _slots(cluster, item, quotes)
    seed = f"{item.item_id}/{cluster.motive.key if cluster.motive else cluster.thing}"
    name = _name(wording.names, slots, seed, taken)
    if not name:
        return None
    sentences = [_vary(wording.describe, seed).format(**slots)]
    sentences += _details(cluster, quotes)
    sentences += _beside(cluster, [motive for _, motive in beside], vocabulary, seed)
    sentences += _mentioned(cluster, item, background, vocabulary, quotes, seed)
    sentences += [
        f"{_vary(vocabulary.sentences['writes'], seed)} {_quoted(quote)}"
        for quote in quotes[1 : len(own)]
        if 6 <= len(quote.split()) <= 25
    ][:1]
    ratings = {remark.review.review_id: remark.review.rating for remark in cluster.remarks}
    return Persona(
        item_id=item.item_id,
        name=name,
        description=" ".join(sentences[:3]),
        preference_rationale=f"{_vary(wording.rationale, seed).format(**slots)}: {_quoted(quotes[0])}",
        evidence=tuple(Quote("review", r.review.review_id, r.sentence.start, r.sentence.end, r.quote) for r in chosen),
        support=cluster.support,
        mean_rating=round(float(np.mean(list(ratings.values()))), 3),
        source="embedded",
    )


def _wording(cluster: Cluster, background: Background, vocabulary: Vocabulary) -> Motive | Wording:
    if cluster.motive is not None:
        return cluster.motive
    if cluster.thing:
        return vocabulary.owners if background.is_owned(cluster.thing) else vocabulary.theme
    return vocabulary.critical_general if cluster.critical else vocabulary.general


def _slots(cluster: Cluster, item: ItemWords, quotes: Sequence[str]) -> dict[str, str]:
    said = item.people is not None and any(item.people[1].search(text) for text in [item.title, *quotes])
    shown = shown_form(cluster.thing, quotes) if cluster.thing else ""
    return {
        "people": item.people[0] if item.people and said else "",
        "Thing": cluster.thing.capitalize(),
        "the_thing": f"the {shown}",
        "their_thing": f"their {shown}",
    }


def _details(cluster: Cluster, quotes: Sequence[str]) -> list[str]:
    """The motive's sentence of details, with up to three that the quotes mention and do not deny."""
    if cluster.motive is None:
        return []
    phrases = [p for pattern, p in cluster.motive.mentions if any(affirmed(pattern, quote) for quote in quotes)]
    phrases = list(dict.fromkeys(phrases))
    return [cluster.motive.detail.format(mentions=enumerate_phrases(phrases[:3]))] if phrases else []


def _beside(cluster: Cluster, motives: Sequence[Motive], vocabulary: Vocabulary, seed: str) -> list[str]:
    """What else they value, or who is among them."""
    values = [motive.value for motive in motives if not motive.tells_who]
    names = [_inside(_plain_name(motive)) for motive in motives if motive.tells_who]
    if values:
        return [_vary(vocabulary.sentences["values"], seed).format(values=enumerate_phrases(values))]
    return [_vary(vocabulary.sentences["among"], seed).format(names=enumerate_phrases(names))] if names else []


def _mentioned(
    cluster: Cluster, item: ItemWords, background: Background, vocabulary: Vocabulary, quotes: Sequence[str], seed: str
) -> list[str]:
    """Up to three nouns that set the cluster apart from the item's other remarks, as its quotes spell them."""
    inside = Counter(thing for remark in cluster.remarks for thing in background.things(remark.words))
    share = len(cluster.remarks) / len(item.remarks)
    # What the wording says anyway, and what the whole item is about, is no news.
    known = {base_form(word) for word in tokens(item.title)} | set(cluster.thing.split())
    said = [cluster.motive.cue, *(pattern for pattern, _ in cluster.motive.mentions)] if cluster.motive else []
    if cluster.motive:
        known |= {base_form(word) for word in tokens(cluster.motive.value)}
    telling = [
        thing
        for thing, count in inside.items()
        if count >= max(2, 0.15 * len(cluster.remarks))
        and count > share * item.things[thing]
        and item.things[thing] * 4 <= len(item.remarks) + 8
    ]
    telling.sort(key=lambda t: (-inside[t] * sum(background.rarity(word) for word in t.split()), t))
    found: list[str] = []
    for thing in telling:
        form = shown_form(thing, quotes)
        if form and not known & set(thing.split()) and not any(pattern.search(form) for pattern in said):
            known |= set(thing.split())
            found.append(f"the {form}")
    return [_vary(vocabulary.sentences["things"], seed).format(things=enumerate_phrases(found[:3]))] if found else []


def _name(forms: Sequence[str], slots: Mapping[str, str], seed: str, taken: set[str]) -> str:
    """A name of at most three words whose slots are filled and which is not taken; empty if there is none."""
    ready = [form for form in forms if all(slots[slot] for slot in re.findall(r"\{(\w+)\}", form))]
    start = zlib.crc32(seed.encode()) % max(len(ready), 1)
    names = [form.format(**slots) for form in ready[start:] + ready[:start]]
    return next((name for name in names if name not in taken and len(name.split()) <= 3), "")


def _plain_name(motive: Motive) -> str:
    return next(name for name in motive.names if "{" not in name)


def _inside(name: str) -> str:
    """A name as it stands inside a sentence."""
    return name if name.startswith("Christmas") else name[0].lower() + name[1:]


def _vary(forms: Sequence[str], seed: str) -> str:
    return forms[zlib.crc32(f"{seed}/{forms[0]}".encode()) % len(forms)]


def enumerate_phrases(phrases: Sequence[str]) -> str:
    """ "a, b and c" from at least one phrase."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def _quoted(quote: str) -> str:
    """The quote as the end of a sentence of ours, in quotation marks."""
    inner = quote.strip('"“”').rstrip(" .").replace("“", "‘").replace("”", "’")
    return f"“{inner}”" if inner.endswith(("!", "?")) else f"“{inner}”."
