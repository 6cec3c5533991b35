"""Load `lexicon.yaml`: opinion words, words that make a sentence or clause doubtful, and motives with their cue phrases."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict

from persona_pipeline.extract.types import AspectName, Stance


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _any_of(patterns: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE) if patterns else None


_DENIAL = r"\b(?:not|never|no|none|nobody|cannot)\b|n['’]t\b"

# Several things are spoken of ("they both"), or two are held against each other ("as good as", but not "as well as").
_ELSEWHERE = (
    r"\bused to\b",
    r"\b(?:superior|inferior) to\b",
    r"\bthey (?:both|all)\b",
    r"\bas (?!well\b|soon\b|long\b|far\b|much\b|many\b)\w+ as\b",
    r"\bjust as (?:good|great|well)\b",
    r"\?",
)
_UNSURE = (r"\bat first\b", r"\bso far\b", r"\b(?:so|as) long as\b", r"\banything but\b", r"\w['’]d\b")
# "Anything but great" is one clause. After a comma or an "and" only a new subject makes a clause of its own.
_CUT = (
    r"[;()–—]|\s--?\s|(?<!anything )\b(?:{contrast})\b"
    r"|(?:,|,? and) (?=(?:i|it|they|we|you|he|she|this|these|that|there|my|our)\b)"
)

Words = Annotated[frozenset[str], BeforeValidator(_words)]
Cues = Annotated[re.Pattern[str] | None, BeforeValidator(_any_of)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Motive(_Model):
    """A kind of person or reason to buy, recognised by whole phrases.

    Attributes:
        stance: of a person who says so.
        praises: whether the phrases praise (or, if disliking, blame) by themselves; else only the rating says so.
        topic: topic of the phrases; an opposite motive has the same. None: the motive's own key.
        vetoes: phrases that change the meaning.
    """

    aspect: AspectName
    name: str
    description: str
    rationale: str
    cues: Cues
    vetoes: Cues = None
    stance: Stance = "likes"
    praises: bool = False
    topic: str | None = None


class Lexicon(_Model):
    """Word lists and motives; see the comments of `lexicon.yaml`."""

    praise: Words
    blame: Words
    good_properties: Words
    bad_properties: Words
    liking: Words
    disliking: Words
    senses: dict[str, str]
    acts: Words
    well: Words
    badly: Words
    general_nouns: Words
    elsewhere: Words
    unsure: Words
    contrast: Words
    sale: Words
    motives: dict[str, Motive]

    @property
    def properties(self) -> frozenset[str]:
        """Good and bad properties."""
        return self.good_properties | self.bad_properties


@dataclass(frozen=True, slots=True)
class LoadedLexicon:
    """The lexicon with regular expressions compiled from it.

    Attributes:
        digest: of its file.
        opinion: matches sentences that may hold an opinion and are worth parsing.
        elsewhere: matches sentences about another thing.
        unsure: matches doubtful clauses.
        contrast: matches words that contrast two clauses.
        cut: matches clause boundaries.
        praise, blame: match words of praise and of blame; a clause with a word of the other kind, or any denial, is evidence of
            neither.
    """

    lexicon: Lexicon
    digest: str
    opinion: re.Pattern[str]
    elsewhere: re.Pattern[str]
    unsure: re.Pattern[str]
    contrast: re.Pattern[str]
    cut: re.Pattern[str]
    praise: re.Pattern[str]
    blame: re.Pattern[str]

    def doubtful(self, text: str) -> bool:
        """Whether a text, taken as a whole, is about another thing, contrasts two, or is unsure."""
        return any(found.search(text) for found in (self.elsewhere, self.unsure, self.contrast))

    def against(self, stance: Stance | None) -> re.Pattern[str]:
        """The pattern that must not occur in a sentence of that stance."""
        return self.blame if stance == "likes" else self.praise


@cache
def load_lexicon() -> LoadedLexicon:
    """Load the packaged lexicon."""
    raw = files("persona_pipeline.extract.embedded").joinpath("lexicon.yaml").read_bytes()
    plain: dict[str, Any] = yaml.safe_load(raw)
    lexicon = Lexicon.model_validate(plain)
    adjectives = lexicon.praise | lexicon.blame | lexicon.good_properties | lexicon.bad_properties
    verbs = [rf"{verb.removesuffix('e')}\w*" for verb in lexicon.liking | lexicon.disliking]
    senses = [rf"{verb}(?:s|es)?" for verb in lexicon.senses]
    # What something is used for is found by grammar too.
    opinion = "|".join(sorted([*adjectives, *verbs, *senses, *lexicon.well, *lexicon.badly, "us(?:e|ed|ing)"]))
    return LoadedLexicon(
        lexicon,
        hashlib.sha256(raw).hexdigest()[:12],
        re.compile(rf"\b(?:{opinion})\b", re.IGNORECASE),
        _whole_words(lexicon.elsewhere, *_ELSEWHERE),
        _whole_words(lexicon.unsure, *_UNSURE),
        _whole_words(lexicon.contrast),
        re.compile(_CUT.format(contrast="|".join(sorted(lexicon.contrast))), re.IGNORECASE),
        _whole_words(lexicon.praise | lexicon.good_properties | lexicon.liking, _DENIAL),
        _whole_words(lexicon.blame | lexicon.bad_properties | lexicon.disliking, _DENIAL),
    )


def _whole_words(words: frozenset[str], *others: str) -> re.Pattern[str]:
    return re.compile("|".join([rf"\b(?:{'|'.join(sorted(words))})\b", *others]), re.IGNORECASE)
