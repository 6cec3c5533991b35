"""Read remarks off reviews: unambiguous opinions of each sentence, with aspect, topic and stance."""

import re
from collections.abc import Iterator, Sequence

from persona_pipeline.extract.embedded.grammar import Opinion, distinct, parse
from persona_pipeline.extract.embedded.lexicon import Motive, load_lexicon
from persona_pipeline.extract.readable import readable_sentences
from persona_pipeline.extract.sentences import Sentence
from persona_pipeline.extract.types import AspectName, AspectQuote, ReviewText, Stance

_CONDITION = re.compile(r"\b(?:if|unless|until|when|whenever|once|as long as)\b", re.IGNORECASE)
_PRAISED_FROM, _LIKED_FROM, _BLAMED_TO = 3.0, 4.0, 4.0  # stars; fewer (or more) contradict the words


def read_remarks(reviews: Sequence[ReviewText]) -> Iterator[tuple[AspectQuote, ...]]:
    """Read the remarks of each review, in order of the reviews and of the text."""
    loaded = load_lexicon()
    readable = [readable_sentences(review.text) for review in reviews]
    sure = (s.quote for sentences in readable for s in sentences if not loaded.elsewhere.search(s.quote))
    parsed = distinct(quote for quote in sure if any(_tells(clause) for _, clause in clauses_of(quote)))
    opinions = dict(zip(parsed, parse(parsed), strict=True))
    for review, sentences in zip(reviews, readable, strict=True):
        yield tuple(
            dict.fromkeys(
                remark
                for sentence in sentences
                if not loaded.elsewhere.search(sentence.quote)
                for remark in (*_motives(sentence, review.rating), *_opinions(sentence, review.rating, opinions))
            )
        )


def clauses_of(sentence: str) -> list[tuple[int, str]]:
    """Split a sentence into clauses by cue words, each with its offset; a condition stays with its clause."""
    loaded = load_lexicon()
    found, start = [], 0
    for cut in loaded.cut.finditer(sentence):
        if cut.group()[0] == "," and _CONDITION.search(sentence, start, cut.start()):
            continue
        found.append((start, sentence[start : cut.start()]))
        start = cut.end()
    return [*found, (start, sentence[start:])]


def _tells(clause: str) -> bool:
    loaded = load_lexicon()
    return bool(loaded.opinion.search(clause)) and not loaded.unsure.search(clause)


def _around(sentence: Sentence, start: int, end: int) -> Sentence:
    """The clauses that contain `sentence.quote[start:end]`, stripped of surrounding white space and punctuation."""
    touched = [(at, clause) for at, clause in clauses_of(sentence.quote) if at < end and start < at + len(clause)]
    first, (last, clause) = touched[0][0], touched[-1]
    held = sentence.quote[first : last + len(clause)].rstrip(" ,:-")
    begin = sentence.start + first + len(held) - len(held.lstrip(" ,:-"))
    return Sentence(begin, sentence.start + first + len(held), held.lstrip(" ,:-"))


def _shown(sentence: Sentence, clause: Sentence, stance: Stance) -> Sentence:
    """The whole sentence, unless its other clauses are doubtful or say the opposite: then the clause alone."""
    loaded = load_lexicon()
    before = sentence.quote[: clause.start - sentence.start]
    rest = f"{before} {sentence.quote[clause.end - sentence.start :]}"
    return clause if loaded.doubtful(rest) or loaded.against(stance).search(rest) else sentence


def _motives(sentence: Sentence, rating: float) -> Iterator[AspectQuote]:
    loaded = load_lexicon()
    for key, motive in loaded.lexicon.motives.items():
        assert motive.cues is not None
        found = motive.cues.search(sentence.quote)
        if not found or not _fits(motive, rating) or (motive.vetoes and motive.vetoes.search(sentence.quote)):
            continue
        cue = found.group().strip()
        clause = _around(
            sentence, found.end() - len(found.group().lstrip()), found.start() + len(found.group().rstrip())
        )
        # A cue may hold such a word itself: "could not put it down".
        rest = clause.quote.replace(cue, " ")
        if not loaded.unsure.search(rest) and not loaded.against(motive.stance).search(rest):
            shown = _shown(sentence, clause, motive.stance)
            yield _remark(shown, motive.aspect, motive.topic or key, found.group().lower(), motive.stance, "motive")


def _fits(motive: Motive, rating: float) -> bool:
    if motive.stance == "dislikes":
        return rating <= _BLAMED_TO
    return rating >= (_PRAISED_FROM if motive.praises else _LIKED_FROM)


def _opinions(sentence: Sentence, rating: float, opinions: dict[str, list[Opinion]]) -> Iterator[AspectQuote]:
    loaded = load_lexicon()
    for opinion in opinions.get(sentence.quote, ()):
        contradicted = (opinion.stance == "likes" and rating < _PRAISED_FROM) or (
            opinion.stance == "dislikes" and rating > _BLAMED_TO
        )
        # What a purpose is used for is no praise by itself.
        if contradicted or (opinion.form == "use" and rating < _LIKED_FROM):
            continue
        clause = _around(sentence, opinion.start, opinion.end)
        if loaded.unsure.search(clause.quote):
            continue
        shown = sentence
        if opinion.stance != "mixed":
            if loaded.against(opinion.stance).search(clause.quote):
                continue
            shown = _shown(sentence, clause, opinion.stance)
        aspect: AspectName = "usage_context" if opinion.form == "use" else "quality_criteria"
        yield _remark(shown, aspect, opinion.topic, opinion.word, opinion.stance, opinion.form)


def _remark(sentence: Sentence, aspect: AspectName, topic: str, word: str, stance: Stance, form: str) -> AspectQuote:
    return AspectQuote(aspect, sentence.start, sentence.end, sentence.quote, topic, stance, word, form)
