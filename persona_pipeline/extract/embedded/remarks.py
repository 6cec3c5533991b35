"""Reviews to remarks: what each sentence says for certain, of which topic, and in which sense."""

from collections.abc import Iterator, Sequence

from persona_pipeline.extract.embedded.grammar import Opinion, distinct, parse
from persona_pipeline.extract.embedded.lexicon import Motive, load_lexicon
from persona_pipeline.extract.protocol import AspectName, AspectQuote, ReviewText, Stance
from persona_pipeline.extract.readable import readable_sentences
from persona_pipeline.extract.sentences import Sentence

_PRAISED_FROM, _LIKED_FROM, _BLAMED_TO = 3.0, 4.0, 4.0  # stars; fewer (or more) contradict the words


def read_remarks(reviews: Sequence[ReviewText]) -> Iterator[tuple[AspectQuote, ...]]:
    """Remarks of each review, in order of the reviews and of the text."""
    loaded = load_lexicon()
    readable = [readable_sentences(review.text) for review in reviews]
    sure = (s.quote for sentences in readable for s in sentences if not loaded.unsure.search(s.quote))
    parsed = distinct(quote for quote in sure if loaded.opinion.search(quote))
    opinions = dict(zip(parsed, parse(parsed), strict=True))
    for review, sentences in zip(reviews, readable, strict=True):
        yield tuple(
            remark
            for sentence in sentences
            for remark in (*_motives(sentence, review.rating), *_opinions(sentence, review.rating, opinions))
        )


def _motives(sentence: Sentence, rating: float) -> Iterator[AspectQuote]:
    loaded = load_lexicon()
    for key, motive in loaded.lexicon.motives.items():
        assert motive.cues is not None
        found = motive.cues.search(sentence.quote)
        if not found or not _fits(motive, rating) or (motive.vetoes and motive.vetoes.search(sentence.quote)):
            continue
        # A cue may hold such a word itself: "could not put it down".
        rest = f"{sentence.quote[: found.start()]} {sentence.quote[found.end() :]}"
        if not loaded.unsure.search(rest) and not loaded.against(motive.stance).search(rest):
            yield _remark(sentence, motive.aspect, motive.topic or key, found.group().lower(), motive.stance, "motive")


def _fits(motive: Motive, rating: float) -> bool:
    if motive.stance == "dislikes":
        return rating <= _BLAMED_TO
    return rating >= (_PRAISED_FROM if motive.praises else _LIKED_FROM)


def _opinions(sentence: Sentence, rating: float, opinions: dict[str, list[Opinion]]) -> Iterator[AspectQuote]:
    for opinion in opinions.get(sentence.quote, ()):
        contradicted = (opinion.stance == "likes" and rating < _PRAISED_FROM) or (
            opinion.stance == "dislikes" and rating > _BLAMED_TO
        )
        # What a purpose is used for is no praise by itself.
        if contradicted or (opinion.form == "use" and rating < _LIKED_FROM):
            continue
        if opinion.stance != "mixed" and load_lexicon().against(opinion.stance).search(sentence.quote):
            continue
        aspect: AspectName = "usage_context" if opinion.form == "use" else "quality_criteria"
        yield _remark(sentence, aspect, opinion.topic, opinion.word, opinion.stance, opinion.form)


def _remark(sentence: Sentence, aspect: AspectName, topic: str, word: str, stance: Stance, form: str) -> AspectQuote:
    return AspectQuote(aspect, sentence.start, sentence.end, sentence.quote, topic, stance, word, form)
