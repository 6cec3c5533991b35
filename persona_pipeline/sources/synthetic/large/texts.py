"""Write titles and texts of large synthetic reviews as Spark expressions over the vocabulary of the small world.

A text is an opener, clauses that its rating calls for, as many as a log-normal draw says, and a closer. Each part is drawn
by a hash of the review's number, so that no text depends on where or when it is made.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from importlib import resources

import yaml
from pyspark.sql import Column
from pyspark.sql import functions as F

from persona_pipeline.sources import synthetic
from persona_pipeline.sources.synthetic.large.layout import DECOMPOSED, EMAIL, INVISIBLE, LONG, PHONE
from persona_pipeline.sources.synthetic.phrases import Draw, Phrase, sentence
from persona_pipeline.sources.synthetic.vocabulary import load_vocabulary

_PERSONAS = 24
_VARIANTS = 10  # of one line of the vocabulary
_MEAN, _SPREAD = 0.62, 0.85  # of the logarithm of the number of clauses
_LONG_CLAUSES = 180  # some 12,000 characters
_JOINS = (", and ", ", but ", "; ", ". Also, ", ". Besides, ", ". And ", ", although ", ". On top of that ", " - ")
_SHORT = ("Great", "Love it", "Works fine.", "As described", "Not for me", "Five stars!", "ok", "Good value", "Broke.")
_OPENERS = ("", "Honestly, ", "In my case ", "So far ", "To be fair, ")
_CLOSING = ("closing", "aside_good", "aside_bad", "praise")
_EMOJI = ("😀", "👍", "❤️", "😍", "🎉", "👌", "🤷", "😡", "👩‍👩‍👧", "👍🏽")
_UNIT = 2.0**-53


class Draws:
    """Uniform numbers by hash: of a seed, a column of whole numbers and a name."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def whole(self, key: Column, name: str, *further: Column) -> Column:
        """53 random bits as a whole number."""
        return F.shiftrightunsigned(F.xxhash64(F.lit(self._seed), key, F.lit(name), *further), 11)

    def unit(self, key: Column, name: str) -> Column:
        """A number in [0, 1)."""
        return self.whole(key, name) * F.lit(_UNIT)

    def one_of(self, values: Column, size: int, key: Column, name: str, *further: Column) -> Column:
        """An element of an array of this size."""
        return F.get(values, (self.whole(key, name, *further) % size).cast("int"))


@dataclass(frozen=True, slots=True)
class _Parts:
    """An array of texts as one foldable expression: sent to Spark as a string, split once by the optimiser."""

    values: tuple[str, ...]

    @property
    def array(self) -> Column:
        return F.split(F.lit("\x1f".join(self.values)), "\x1f")

    def draw(self, draws: Draws, key: Column, name: str, *further: Column) -> Column:
        return draws.one_of(self.array, len(self.values), key, name, *further)


class Texts:
    """Titles and texts by review number, rating and place in the block."""

    def __init__(self, draws: Draws) -> None:
        vocabulary = load_vocabulary(_PERSONAS)
        draw = random.Random("large texts").random
        reasons = [one for persona in vocabulary.personas for cell in persona.cells.values() for one in cell.reasons]
        self._draws = draws
        self._good = _variants((one.good for one in reasons), draw)
        self._bad = _variants((one.bad for one in reasons), draw)
        who = _variants((persona.who for persona in vocabulary.personas), draw).values
        times = _variants((vocabulary.time,), draw).values
        openers = [f"After {time}, " for time in times] + [f"As {one} I can say: " for one in who]
        self._openers = _Parts((*_OPENERS, *openers))
        category = vocabulary.categories[-1]
        slots = {**category.words, "thing": "thing", "part": category.part.expand(draw), "time": times[0]}
        said = [line for kind in _CLOSING for line in vocabulary.phrases[kind]]
        self._closers = _Parts(("", "", *(sentence(text) for text in _variants(said, draw, slots).values)))
        headlines = [persona.headline for persona in vocabulary.personas]
        self._titles = _variants([*vocabulary.titles.values(), *headlines], draw, slots)
        languages = yaml.safe_load((resources.files(synthetic) / "data" / "languages.yaml").read_text(encoding="utf-8"))
        self._languages = len(languages)
        self._foreign = [_Parts(tuple(p for parts in languages.values() for p in parts[n])) for n in range(4)]

    def title(self, key: Column) -> Column:
        """A title; null now and then."""
        return F.when(self._draws.whole(key, "untitled") % 16 != 0, self._titles.draw(self._draws, key, "title"))

    def text(self, key: Column, rating: Column, place: Column) -> Column:
        """The text of the review with this number; `place` gives a few of a block something of their own."""
        draws = self._draws
        noise = draws.unit(key, "noise")
        count = F.when(place == LONG, _LONG_CLAUSES).otherwise(self._count(key))
        plain = self._english(key, rating, count)
        marked = F.when(place == EMAIL, F.concat(plain, F.lit(" Write to jh.berger"), key, F.lit("@example.com.")))
        number = F.lpad((draws.whole(key, "phone") % 100).cast("string"), 2, "0")
        marked = marked.when(place == PHONE, F.concat(plain, F.lit(" Call me: (202) 555-01"), number, F.lit(".")))
        marked = marked.when(
            place == INVISIBLE, F.concat(F.lit("\u202ethat\u202c is\u200b: "), plain, F.lit("\u00a0\u0007"))
        )
        marked = marked.when(place == DECOMPOSED, F.concat(F.lit("Cafe\u0301 und U\u0308bung: "), plain))
        marked = marked.when(place == LONG, plain)
        shares = (
            (0.02, F.lit("")),
            (0.10, _Parts(_SHORT).draw(draws, key, "short")),
            (0.12, self._other_language(key, count)),
            (0.15, F.replace(F.replace(plain, F.lit("'"), F.lit("&#39;")), F.lit(" and "), F.lit(" &amp; "))),
            (0.18, F.concat(F.lit("<p>"), F.replace(plain, F.lit(". "), F.lit(".<br /><br />")), F.lit("</p>"))),
            (0.23, F.concat(plain, F.lit(" "), _Parts(_EMOJI).draw(draws, key, "emoji"))),
            (0.24, F.upper(plain)),
        )
        for below, text in shares:
            marked = marked.when(noise < below, text)
        return marked.otherwise(plain)

    def spam(self, key: Column, campaign: Column) -> Column:
        """The text of a campaign, with a word of the poster's own at its end."""
        told = self._english(campaign - 1_000_000, F.lit(5), F.lit(4))
        return F.concat(told, F.lit(" Order no. "), self._draws.whole(key, "order") % 1_000)

    def product(self, key: Column) -> Column:
        """One sentence about an item."""
        return F.concat(self._good.draw(self._draws, key, "product"), F.lit("."))

    def _count(self, key: Column) -> Column:
        """Clauses of a text: a log-normal draw (Box and Muller), one at least, 400 at most."""
        one, other = self._draws.unit(key, "length"), self._draws.unit(key, "turn")
        normal = F.sqrt(-2 * F.log(1 - one)) * F.cos(F.lit(6.283185307179586) * other)
        return F.least(F.greatest(F.rint(F.exp(_MEAN + _SPREAD * normal)), F.lit(1.0)), F.lit(400.0)).cast("int")

    def _english(self, key: Column, rating: Column, count: Column) -> Column:
        draws = self._draws
        joins = _Parts(_JOINS)

        def clause(number: Column) -> Column:
            good = draws.whole(key, "mood", number) % 10 < 2 * rating - 1  # of five stars nine in ten, of one star one
            told = F.when(good, self._good.draw(draws, key, "good", number)).otherwise(
                self._bad.draw(draws, key, "bad", number)
            )
            return F.when(number == 0, told).otherwise(F.concat(joins.draw(draws, key, "join", number), told))

        told = F.array_join(F.transform(F.sequence(F.lit(0), count - 1), clause), "")
        opener, closer = self._openers.draw(draws, key, "opener"), self._closers.draw(draws, key, "closer")
        return F.concat(opener, told, F.lit(". "), closer)

    def _other_language(self, key: Column, count: Column) -> Column:
        language = self._draws.whole(key, "language") % self._languages

        def spoken(number: Column) -> Column:
            pieces = [
                F.get(parts.array, (language * 6 + self._draws.whole(key, f"part {n}", number) % 6).cast("int"))
                for n, parts in enumerate(self._foreign)
            ]
            return reduce(lambda left, right: F.concat(left, F.lit(" "), right), pieces)

        return F.array_join(F.transform(F.sequence(F.lit(0), F.greatest(count, F.lit(2))), spoken), " ")


def _variants(lines: Iterable[Phrase], draw: Draw, slots: Mapping[str, str] | None = None) -> _Parts:
    """Distinct expansions of every line, in order."""
    found = {line.expand(draw, slots): None for line in lines for _ in range(min(_VARIANTS, line.variants))}
    return _Parts(tuple(found))
