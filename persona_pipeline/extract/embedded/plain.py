"""Make a plain persona of an item without any other: reviewers' quotes, or metadata, verbatim under a neutral heading."""

from collections.abc import Sequence

from persona_pipeline.extract.embedded.lexicon import load_lexicon
from persona_pipeline.extract.embedded.words import tokens
from persona_pipeline.extract.readable import readable_sentences, same_words, unreadability
from persona_pipeline.extract.sentences import Sentence, split_sentences
from persona_pipeline.extract.types import AspectQuote, ItemEvidence, ItemText, Persona, Quote, ReviewText, Stance

_MOST = 4  # quotes
_LIKED = 4.0  # stars
_PITCH = 5  # words of a description's sentence that says something


def plain_persona(item: ItemEvidence) -> Persona | None:
    """Quote praise, else any reviews (stance mixed), else the item's metadata; None where there is neither.

    Only praise has the stance `likes`; quotes that praise a part of the item, as far as aspects tell, come first.
    """
    told = [(review, sentence) for review in item.reviews for sentence in readable_sentences(review.text, 3)]
    praise = [(review, sentence) for review, sentence in told if review.rating >= _LIKED and _praises(sentence.quote)]
    liked = [(review, sentence) for review, sentence in told if review.rating >= _LIKED]
    return _quoting(item, praise, "likes") or _quoting(item, liked or told, "mixed") or _from_metadata(item.item)


def _quoting(item: ItemEvidence, told: Sequence[tuple[ReviewText, Sentence]], stance: Stance) -> Persona | None:
    """Quote one sentence per person, no wording twice, best readable first; praise of a part of the item excludes all others."""
    likes = [(found.review_id, span) for found in item.aspects for span in found.evidence if span.stance == "likes"]
    of_a_part = {(review_id, span.start) for review_id, span in likes if _tells(span)}
    of_any = {(review_id, span.start) for review_id, span in likes}

    def place(one: tuple[ReviewText, Sentence]) -> tuple[float, str, str]:
        review, sentence = one
        return unreadability(sentence.quote), sentence.quote, review.review_id

    for best in (of_a_part, of_any):
        if some := [one for one in told if (one[0].review_id, one[1].start) in best]:
            told = some
            break
    chosen: list[tuple[ReviewText, Sentence]] = []
    heard: set[str] = set()
    for review, sentence in sorted(told, key=place):
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
        stance=stance,
    )


def _tells(span: AspectQuote) -> bool:
    """Whether an aspect likes a part of the item, and not just the whole: "a solid buy"."""
    head = (span.topic or "").split()[-1:]
    return span.form == "motive" or load_lexicon().lexicon.general_nouns.isdisjoint(head)


def _praises(quote: str) -> bool:
    """Whether a quote has a word of praise, and none of blame, denial, doubt, or about the sale."""
    loaded = load_lexicon()
    lexicon, words = loaded.lexicon, set(tokens(quote))
    praised = words & (lexicon.praise | lexicon.good_properties | {"love", "loved", "loves", "recommended"})
    return (
        bool(praised)
        and not words & lexicon.sale
        and not loaded.against("likes").search(quote)
        and not loaded.doubtful(quote)
    )


def _from_metadata(item: ItemText) -> Persona | None:
    evidence = []
    if item.title and item.title.strip():
        title = item.title.strip()
        start = item.title.index(title)
        evidence.append(Quote("metadata", "title", start, start + len(title), title))
    pitch = [s for s in split_sentences(item.description or "") if len(s.quote.split()) >= _PITCH][:1]
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
