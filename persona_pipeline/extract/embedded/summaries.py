"""Summarise an item in at most three sentences, from metadata, or else from the names its reviewers give it."""

import re

from persona_pipeline.extract.embedded.lexicon import load_lexicon
from persona_pipeline.extract.embedded.plain import plain_persona
from persona_pipeline.extract.embedded.words import is_content, singular, tokens
from persona_pipeline.extract.sentences import split_sentences
from persona_pipeline.extract.types import ItemEvidence, ItemSummary, ItemText

_MARKUP = re.compile(r"<[^>]*>|https?://\S+|www\.\S+")
_POINTED = re.compile(r"\b(?:this|these) ([a-z]+(?: [a-z]+)?)")
MAX_WORDS = 40


def summarise(item: ItemEvidence) -> ItemSummary:
    """Summarise from title, categories and description, else from the item's reviews, else empty."""
    text = item.item
    if (text.title or "").strip() or (text.description or "").strip():
        return ItemSummary(text.item_id, _from_metadata(text), "metadata")
    said = _from_reviews(item)
    return ItemSummary(text.item_id, said, "reviews" if said else "none")


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


def _from_reviews(item: ItemEvidence) -> str:
    """The reviewers' name for the item ("Clip-on tuner."), and one typical quote; empty where they do not name it.

    The first sentence serves as the item's name where it has no title: no reviewer's sentence may stand there.
    """
    called = _called(item)
    typical = plain_persona(item) if called else None
    quote = typical.evidence[0].quote if typical else ""
    return " ".join(_closed(part) for part in (called.capitalize(), quote) if part)


def _called(item: ItemEvidence) -> str:
    """The noun that most people, at least two, put after "this" or "these"; with the following noun where most of them add it."""
    nouns: dict[str, set[str]] = {}
    pairs: dict[str, set[str]] = {}
    for review in item.reviews:
        for match in _POINTED.finditer(review.text.lower()):
            first, *more = [word for word in match.group(1).split() if _names_goods(word)] or [""]
            nouns.setdefault(first, set()).add(review.user_id)
            if more:
                pairs.setdefault(" ".join([first, *more]), set()).add(review.user_id)
    nouns.pop("", None)
    best = min(nouns, key=lambda noun: (-len(nouns[noun]), noun), default="")
    if not best or len(nouns[best]) < 2:
        return ""
    longer = [pair for pair in pairs if pair.split()[0] == best and 2 * len(pairs[pair]) > len(nouns[best])]
    return min(longer, key=lambda pair: (-len(pairs[pair]), pair), default=best)


def _names_goods(word: str) -> bool:
    lexicon = load_lexicon().lexicon
    opinions = lexicon.praise | lexicon.blame | lexicon.good_properties | lexicon.bad_properties
    return is_content(word) and singular(word) not in lexicon.general_nouns and word not in opinions


def _bases(text: str) -> set[str]:
    return {singular(word) for word in tokens(text)}


def _clean(text: str) -> str:
    return " ".join(_MARKUP.sub(" ", text).split())


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."
