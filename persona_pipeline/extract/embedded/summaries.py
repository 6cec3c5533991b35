"""Metadata, or else what reviewers say, becomes an item's summary of at most three sentences."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from persona_pipeline.extract.embedded.reading import Reading
from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.wording import enumerate_phrases
from persona_pipeline.extract.embedded.words import base_form, shown_form, tokens
from persona_pipeline.extract.protocol import ItemSummary, ItemText
from persona_pipeline.extract.sentences import split_sentences

_MARKUP = re.compile(r"<[^>]*>|https?://\S+|www\.\S+")
MAX_WORDS = 40


def summarise(item: ItemText, reading: Reading) -> ItemSummary:
    """What the item is: from title, categories and description, else from the item's remarks, else empty."""
    if (item.title or "").strip() or (item.description or "").strip():
        return ItemSummary(item.item_id, _from_metadata(item), "metadata")
    if reading.remarks:
        return ItemSummary(item.item_id, _from_remarks(reading), "reviews")
    return ItemSummary(item.item_id, "", "none")


def _from_metadata(item: ItemText) -> str:
    title = _clean(item.title or "")
    pitch = [_clean(s.quote) for s in split_sentences(_clean(item.description or ""))]
    pitch = [
        s for s in pitch if 3 <= len(s.split()) <= MAX_WORDS and s.rstrip(".").lower() != title.rstrip(".").lower()
    ]
    categories = list(dict.fromkeys(_clean(category) for category in item.categories if category.strip()))
    kind = [category for category in categories if not _bases(category) <= _bases(title)][-1:]
    first = f"{title} ({', '.join(kind)})" if title and kind else title
    return " ".join(_closed(sentence) for sentence in [first, *pitch[: 2 if first else 3]] if sentence)


def _from_remarks(reading: Reading) -> str:
    """Say "Patch cables, liked for sound and price. Reviewers mention the plugs." and quote one typical remark."""
    kind = _kind(reading)
    liked = _values(reading)
    first = kind + (f", liked for {enumerate_phrases(liked)}" if liked else "") if kind else ""
    things = _things(reading, kind)
    mentioned = f"Reviewers mention {enumerate_phrases([f'the {thing}' for thing in things])}" if things else ""
    sentences = [first, mentioned, _typical(reading.remarks, kind)]
    return " ".join(_closed(s[:1].upper() + s[1:]) for s in sentences if s)


def _values(reading: Reading) -> list[str]:
    """Up to two things at least two reviewers praise it for."""
    motives = reading.vocabulary.motives
    praise = [remark for remark in reading.remarks if remark.stance == "for" and remark.fits.any()]
    pairs = {(motives[int(remark.fits.argmax())], remark.review.user_id) for remark in praise}
    counts = Counter(motive.value for motive, _ in pairs if not motive.tells_who)
    return [value for value, count in sorted(counts.items(), key=lambda e: (-e[1], e[0])) if count >= 2][:2]


def _things(reading: Reading, kind: str) -> list[str]:
    """Up to three nouns that at least two reviewers use and few other items do."""
    counts, rarity = reading.mentioned, reading.background.rarity
    ranked = sorted(counts, key=lambda t: (-counts[t] * sum(min(rarity(word), 3.0) for word in t.split()), t))
    seen = _bases(kind)
    found: list[str] = []
    for thing in ranked:
        if len(found) == 3:
            break
        if counts[thing] >= 2 and not seen & set(thing.split()):
            seen |= set(thing.split())
            found.append(shown_form(thing, [remark.quote for remark in reading.remarks]))
    return found


def _kind(reading: Reading) -> str:
    """What reviewers call the item: a noun many use, and after "this" or "these", with a noun they put before it."""
    uses = reading.mentioned
    points = reading.pointed_at
    valued = {word for motive in reading.vocabulary.motives for word in motive.value.split()} | {"tone"}
    heads = {noun: points[noun] * uses[noun] for noun in points if uses[noun] > 1 and noun not in valued}
    if not heads:
        return ""
    head = min(heads, key=lambda noun: (-heads[noun], noun))
    pairs = {thing: n for thing, n in uses.items() if thing.endswith(f" {head}") and n > 1 and n * 5 >= uses[head]}
    best = min(pairs, key=lambda thing: (-pairs[thing], thing), default=head)
    return shown_form(best, [remark.quote for remark in reading.remarks])


def _typical(remarks: Sequence[Remark], kind: str) -> str:
    """The remark nearest to all the others that reads well and names the thing."""
    centre = np.mean([remark.vector for remark in remarks], axis=0)

    def typical(remark: Remark) -> float:
        words = remark.quote.split()
        return (
            float(remark.vector @ centre)
            + 0.1 * (bool(kind) and kind in remark.quote.lower())
            - 0.02 * max(0, len(words) - 22)
            - 0.03 * max(0, 8 - len(words))
            + 0.05 * (remark.tone > 0)
            - 0.1 * remark.quote[0].islower()
            - 0.3 * remark.quote.endswith(("?", "...", "…"))
        )

    return min(remarks, key=lambda r: (-round(typical(r), 4), r.quote)).quote


def _bases(text: str) -> set[str]:
    return {base_form(word) for word in tokens(text)}


def _clean(text: str) -> str:
    return " ".join(_MARKUP.sub(" ", text).split())


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."
