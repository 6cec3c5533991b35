"""A cluster becomes a persona: a name, sentences a shopper can read, and the quotes that bear them out.

Quotes are chosen first. Whatever the sentences then mention (people, places, details) is looked up in those quotes, so
a description cannot claim what its evidence does not say. Variants of wording are picked by a hash of item and motive:
texts vary between items and never between runs.
"""

import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from persona_pipeline.extract.embedded.clusters import Cluster
from persona_pipeline.extract.embedded.quotes import choose_quotes
from persona_pipeline.extract.embedded.reading import Reading
from persona_pipeline.extract.embedded.tone import affirmed
from persona_pipeline.extract.embedded.vocabulary import Motive, Wording
from persona_pipeline.extract.embedded.words import base_form, shown_form, tokens
from persona_pipeline.extract.protocol import Persona, Quote


def word_personas(clusters: Sequence[Cluster], item: Reading) -> list[Persona]:
    """One persona per cluster, in order, no two with the same name."""
    personas: list[Persona] = []
    for cluster in clusters:
        persona = _word(cluster, item, {persona.name for persona in personas})
        if persona is not None:
            personas.append(persona)
    return personas


def _word(cluster: Cluster, item: Reading, taken: set[str]) -> Persona | None:
    own, beside = choose_quotes(cluster, item)
    chosen = own + [remark for remark, _ in beside]
    quotes = [remark.quote for remark in chosen]
    wording = _wording(cluster, item)
    slots = _slots(cluster, item, quotes)
    seed = f"{item.item_id}/{cluster.motive.key if cluster.motive else cluster.thing}"
    name = _name(wording.names, slots, seed, taken)
    if not name:
        return None
    further = item.vocabulary.sentences
    sentences = [_vary(wording.describe, seed).format(**slots)]
    sentences += _details(cluster, quotes)
    sentences += _beside([motive for _, motive in beside], further, seed)
    things = _things(cluster, item, quotes)
    sentences += [_vary(further["things"], seed).format(things=enumerate_phrases(things))] if things else []
    short = [quote for quote in quotes[1 : len(own)] if 6 <= len(quote.split()) <= 25]
    sentences += [f"{_vary(further['writes'], seed)} {_quoted(short[0])}"] if short else []
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
        stance="mixed",
    )


def _wording(cluster: Cluster, item: Reading) -> Motive | Wording:
    if cluster.motive is not None:
        return cluster.motive
    if cluster.thing:
        return item.vocabulary.owners if item.background.is_owned(cluster.thing) else item.vocabulary.theme
    return item.vocabulary.critical_general if cluster.critical else item.vocabulary.general


def _slots(cluster: Cluster, item: Reading, quotes: Sequence[str]) -> dict[str, str]:
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


def _beside(motives: Sequence[Motive], further: Mapping[str, Sequence[str]], seed: str) -> list[str]:
    """What else they value, or who is among them."""
    values = [motive.value for motive in motives if not motive.tells_who]
    names = [_inside(_plain_name(motive)) for motive in motives if motive.tells_who]
    if values:
        return [_vary(further["values"], seed).format(values=enumerate_phrases(values))]
    return [_vary(further["among"], seed).format(names=enumerate_phrases(names))] if names else []


def _things(cluster: Cluster, item: Reading, quotes: Sequence[str]) -> list[str]:
    """Up to three nouns that set the cluster apart from the item's other remarks, as its quotes spell them."""
    inside = item.mentions(cluster.remarks)
    telling = [
        thing
        for thing, count in inside.items()
        if count >= max(2, 0.15 * cluster.support)
        and count * item.reviewers > cluster.support * item.mentioned[thing]
        and item.mentioned[thing] * 4 <= item.reviewers + 8
    ]
    telling.sort(key=lambda t: (-inside[t] * sum(item.background.rarity(word) for word in t.split()), t))
    # What the wording says anyway, and what the item is called, is no news.
    known = item.title_words | set(cluster.thing.split())
    said: list[re.Pattern[str]] = []
    if cluster.motive:
        known |= {base_form(word) for word in tokens(cluster.motive.value)}
        said = [cluster.motive.cue, *(pattern for pattern, _ in cluster.motive.mentions)]
    found: list[str] = []
    for thing in telling:
        if len(found) == 3:
            break
        form = shown_form(thing, quotes)
        if form and not known & set(thing.split()) and not any(pattern.search(form) for pattern in said):
            known |= set(thing.split())
            found.append(f"the {form}")
    return found


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
    """Join at least one phrase to "a, b and c"."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def _quoted(quote: str) -> str:
    """The quote as the end of a sentence of ours, in quotation marks."""
    inner = quote.strip('"“”').rstrip(" .").replace("“", "‘").replace("”", "’")
    return f"“{inner}”" if inner.endswith(("!", "?")) else f"“{inner}”."
