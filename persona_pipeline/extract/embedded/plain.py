"""An item of which nothing can be said for certain: what reviewers say of it, word for word, under a neutral heading."""

from persona_pipeline.extract.embedded.lexicon import load_lexicon
from persona_pipeline.extract.embedded.words import tokens
from persona_pipeline.extract.protocol import ItemEvidence, ItemText, Persona, Quote, ReviewText
from persona_pipeline.extract.readable import readable_sentences, same_words, unreadability
from persona_pipeline.extract.sentences import Sentence, split_sentences

_MOST = 4  # quotes
_LIKED = 4.0  # stars


def plain_persona(item: ItemEvidence) -> Persona | None:
    """Quotes of reviewers, of those who like it if there are any; else the item's own metadata; None without either."""
    return _from_reviews(item) or _from_metadata(item.item)


def _from_reviews(item: ItemEvidence) -> Persona | None:
    liked = [review for review in item.reviews if review.rating >= _LIKED]
    chosen: list[tuple[ReviewText, Sentence]] = []
    heard: set[str] = set()
    told = [(review, sentence) for review in liked or item.reviews for sentence in readable_sentences(review.text, 3)]
    for review, sentence in sorted(told, key=lambda t: (_loss(t[1].quote, bool(liked)), t[1].quote, t[0].review_id)):
        words = same_words(sentence.quote)
        if review.user_id not in heard and words not in heard:
            chosen.append((review, sentence))
            heard |= {review.user_id, words}
    if not chosen:
        return None
    chosen = chosen[:_MOST]
    return Persona(
        item_id=item.item.item_id,
        name="What reviewers say",
        description="What reviewers say of it, in their own words.",
        preference_rationale="Reviewers speak for themselves.",
        evidence=tuple(Quote("review", r.review_id, s.start, s.end, s.quote) for r, s in chosen),
        support=len(chosen),
        mean_rating=round(sum(review.rating for review, _ in chosen) / len(chosen), 3),
        source="quotes",
        stance="mixed",
    )


def _loss(quote: str, liked: bool) -> float:
    """What speaks against showing a sentence: that it reads badly, and where people liked it, that it does not say so."""
    lexicon, words = load_lexicon().lexicon, tokens(quote)
    praised = any(word in lexicon.praise or word in lexicon.good_properties for word in words)
    blamed = any(word in lexicon.blame or word in lexicon.bad_properties for word in words)
    unsure = bool(load_lexicon().unsure.search(quote))
    denied = any(word in ("not", "no", "never", "too") or word.endswith("n't") for word in words)
    return round(unreadability(quote) + liked * (blamed + 0.6 * unsure + 0.6 * denied - 0.3 * praised), 4)


def _from_metadata(item: ItemText) -> Persona | None:
    evidence = []
    if item.title and item.title.strip():
        title = item.title.strip()
        start = item.title.index(title)
        evidence.append(Quote("metadata", "title", start, start + len(title), title))
    pitch = split_sentences(item.description or "")[:1]
    evidence += [Quote("metadata", "description", s.start, s.end, s.quote) for s in pitch]
    if not evidence:
        return None
    return Persona(
        item_id=item.item_id,
        name="No words yet",
        description="Nobody has written of it yet; this is what it says of itself.",
        preference_rationale="Nobody has written of it yet.",
        evidence=tuple(evidence),
        support=0,
        mean_rating=None,
        source="metadata",
        stance="mixed",
    )
