"""Metadata, or else what reviewers say, becomes an item's summary of at most three sentences."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.sentences import split_sentences
from persona_pipeline.extract.embedded.words import Background, base_form, is_content, shown_form, tokens
from persona_pipeline.extract.protocol import ItemSummary, ItemText

_POINTING = frozenset("this these".split())
_MARKUP = re.compile(r"<[^>]*>|https?://\S+|www\.\S+")
MAX_WORDS = 40


def summarise(item: ItemText, remarks: Sequence[Remark], background: Background) -> ItemSummary:
    """What the item is: from title, categories and description, else from the item's remarks, else empty."""
    if (item.title or "").strip() or (item.description or "").strip():
        return ItemSummary(item.item_id, _from_metadata(item), "metadata")
    if remarks:
        return ItemSummary(item.item_id, _from_remarks(remarks, background), "reviews")
    return ItemSummary(item.item_id, "", "none")


def _from_metadata(item: ItemText) -> str:
    title = _clean(item.title or "")
    pitch = [_clean(s.quote) for s in split_sentences(_clean(item.description or ""))]
    pitch = [s for s in pitch if 3 <= len(s.split()) <= MAX_WORDS and s.rstrip(".").lower() != title.rstrip(".").lower()]
    categories = list(dict.fromkeys(_clean(category) for category in item.categories if category.strip()))
    kind = [c for c in categories if c.lower() not in title.lower()][-1:]
    first = f"{title} ({', '.join(kind)})" if title and kind else title
    return " ".join(_closed(sentence) for sentence in [first, *pitch[: 2 if first else 3]] if sentence)


def _from_remarks(remarks: Sequence[Remark], background: Background) -> str:
    quotes = [remark.quote for remark in remarks]
    kind = _kind(remarks, background)
    counts = background.things(quotes)
    for word in [*kind.split(), kind]:
        counts.pop(base_form(word), None)
    ranked = sorted(counts, key=lambda t: (-counts[t] * sum(min(background.rarity(w), 3.0) for w in t.split()), t))
    things: list[str] = []
    for thing in ranked:
        form = shown_form(thing, quotes)
        if counts[thing] >= 2 and not any(set(form.split()) & set(other.split()) for other in [*things, kind]):
            things.append(form)
    said = f"reviewers speak of the {', the '.join(things[:3])}" if things else ""
    sentences = [" - ".join(part for part in (kind, said) if part), _typical(remarks, kind, background)]
    return " ".join(_closed(s[:1].upper() + s[1:]) for s in sentences if s)


def _kind(remarks: Sequence[Remark], background: Background) -> str:
    """What reviewers call the thing: the noun that follows "this" or "these" for most of them, with the word before it."""
    named: Counter[str] = Counter()
    for remark in remarks:
        words = tokens(remark.quote)
        found = set()
        for before, word, after in zip(words, words[1:], [*words[2:], ""], strict=False):
            if before in _POINTING and is_content(word) and background.is_noun(word) and not is_content(after):
                found.add(base_form(word))
        named.update(found)
    if not named:
        return ""
    head = min(named, key=lambda w: (-named[w] * (0.5 + background.rarity(w)), w))
    quotes = [remark.quote for remark in remarks]
    pairs = background.things(quotes)
    pair = max((t for t in pairs if t.endswith(f" {head}")), key=lambda t: (pairs[t], t), default="")
    return shown_form(pair if pair and pairs[pair] >= 3 else head, quotes)


def _typical(remarks: Sequence[Remark], kind: str, background: Background) -> str:
    """The remark nearest to all the others that reads well and names the thing."""
    centre = np.mean([remark.vector for remark in remarks], axis=0)

    def typical(remark: Remark) -> float:
        words = remark.quote.split()
        return (
            float(remark.vector @ centre)
            + 0.1 * (bool(kind) and kind in remark.quote.lower())
            - 0.02 * max(0, len(words) - 22)
            - 0.03 * max(0, 8 - len(words))
            - 0.1 * remark.quote[0].islower()
            - 0.3 * remark.quote.endswith(("?", "...", "…"))
        )

    return max(remarks, key=lambda r: (typical(r), r.quote, r.review.review_id)).quote


def _clean(text: str) -> str:
    return " ".join(_MARKUP.sub(" ", text).split())


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."
