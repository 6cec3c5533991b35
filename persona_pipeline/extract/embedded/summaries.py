"""Metadata, or else what reviewers say, becomes an item's summary of at most three sentences."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.sentences import split_sentences
from persona_pipeline.extract.embedded.vocabulary import Vocabulary
from persona_pipeline.extract.embedded.wording import enumerate_phrases
from persona_pipeline.extract.embedded.words import Background, base_form, is_content, shown_form
from persona_pipeline.extract.protocol import ItemSummary, ItemText

_POINTING = frozenset("this these".split())
_MARKUP = re.compile(r"<[^>]*>|https?://\S+|www\.\S+")
MAX_WORDS = 40


def summarise(item: ItemText, remarks: Sequence[Remark], background: Background, vocabulary: Vocabulary) -> ItemSummary:
    """What the item is: from title, categories and description, else from the item's remarks, else empty."""
    if (item.title or "").strip() or (item.description or "").strip():
        return ItemSummary(item.item_id, _from_metadata(item), "metadata")
    if remarks:
        return ItemSummary(item.item_id, _from_remarks(remarks, background, vocabulary), "reviews")
    return ItemSummary(item.item_id, "", "none")


def _from_metadata(item: ItemText) -> str:
    title = _clean(item.title or "")
    pitch = [_clean(s.quote) for s in split_sentences(_clean(item.description or ""))]
    pitch = [
        s for s in pitch if 3 <= len(s.split()) <= MAX_WORDS and s.rstrip(".").lower() != title.rstrip(".").lower()
    ]
    categories = list(dict.fromkeys(_clean(category) for category in item.categories if category.strip()))
    kind = [c for c in categories if c.lower() not in title.lower()][-1:]
    first = f"{title} ({', '.join(kind)})" if title and kind else title
    return " ".join(_closed(sentence) for sentence in [first, *pitch[: 2 if first else 3]] if sentence)


def _from_remarks(remarks: Sequence[Remark], background: Background, vocabulary: Vocabulary) -> str:
    """ "Patch cables, liked for the sound and the price. Reviewers mention the plugs. ..." and one typical remark."""
    kind = _kind(remarks, background, vocabulary)
    liked = [r for r in remarks if r.stance == "for" and r.fits.any()]
    values = Counter(
        motive.value
        for motive, _ in {
            (vocabulary.motives[int((r.fits * ~vocabulary.critical).argmax())], r.review.user_id) for r in liked
        }
        if not motive.tells_who and not motive.critical
    )
    valued = [value for value, count in sorted(values.items(), key=lambda e: (-e[1], e[0])) if count >= 2][:2]
    first = kind + (f", liked for {' and '.join(valued)}" if valued and kind else "")
    things = _things(remarks, kind, background)
    mentioned = f"Reviewers mention {enumerate_phrases([f'the {t}' for t in things])}" if things else ""
    sentences = [first, mentioned, _typical(remarks, kind)]
    return " ".join(_closed(s[:1].upper() + s[1:]) for s in sentences if s)


def _things(remarks: Sequence[Remark], kind: str, background: Background) -> list[str]:
    """Up to three nouns that at least two reviewers use and few other items do."""
    pairs = {(r.review.user_id, thing) for r in remarks for thing in background.things(r.words)}
    counts = Counter(thing for _, thing in pairs)
    ranked = sorted(counts, key=lambda t: (-counts[t] * sum(min(background.rarity(w), 3.0) for w in t.split()), t))
    seen = {base_form(word) for word in kind.split()}
    found: list[str] = []
    for thing in ranked:
        if counts[thing] >= 2 and not seen & set(thing.split()):
            seen |= set(thing.split())
            found.append(shown_form(thing, [remark.quote for remark in remarks]))
    return found[:3]


def _kind(remarks: Sequence[Remark], background: Background, vocabulary: Vocabulary) -> str:
    """What reviewers call the item: a noun many use, and after "this" or "these"; with the noun before it where they agree."""
    pointed = {(r.review.user_id, base_form(noun)) for r in remarks for noun in _pointed_at(r.words)}
    used = {(r.review.user_id, thing) for r in remarks for thing in background.things(r.words)}
    points, uses = Counter(noun for _, noun in pointed), Counter(thing for _, thing in used)
    values = {word for motive in vocabulary.motives for word in [*motive.value.split(), "tone"]}
    heads = {noun: points[noun] * uses[noun] for noun in points if uses[noun] and noun not in values}
    if not heads:
        return ""
    head = min(heads, key=lambda noun: (-heads[noun], noun))
    pairs = {thing: count for thing, count in uses.items() if thing.endswith(f" {head}") and count * 5 >= uses[head]}
    best = min(pairs, key=lambda thing: (-pairs[thing], thing), default="")
    return shown_form(best if best and pairs[best] >= 2 else head, [remark.quote for remark in remarks])


def _pointed_at(words: Sequence[str]) -> list[str]:
    """Words in "this word is", "these word word."."""
    found = []
    for i, word in enumerate(words):
        if word in _POINTING:
            phrase = []
            for following in words[i + 1 : i + 4]:
                if not is_content(following):
                    break
                phrase.append(following)
            found += phrase[-1:]
    return found


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

    return max(remarks, key=lambda r: (typical(r), r.quote, r.review.review_id)).quote


def _clean(text: str) -> str:
    return " ".join(_MARKUP.sub(" ", text).split())


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."
