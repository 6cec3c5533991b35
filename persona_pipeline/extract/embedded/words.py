"""Texts become words worth repeating: nouns several reviewers use, recognised by how the whole corpus uses them.

There is no part-of-speech tagger here. A word counts as a noun when the corpus often puts it between an article or
possessive and a function word or the end of the phrase ("the clamp is", "my pedalboard."). Inflections are merged, and
a word is only repeated in the spelling the corpus knows from more than one item.
"""

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence


def word_set(text: str) -> frozenset[str]:
    """The words of a text; a long list reads better so than one word a line."""
    return frozenset(text.split())


_TOKEN = re.compile(r"[A-Za-z]+(?:['’][a-z]+)?|[^\sA-Za-z]")
# After "the pop filter" comes one of these; after "the clamp holds" does not, so verbs are not taken for nouns.
_AUXILIARIES = word_set("is are was were isn't has had does will can that which")
SMALL = 20  # items; a smaller corpus cannot tell what is rare
_DETERMINERS = word_set("the a an my this these its their your his her our those any each every")
STOP_WORDS = word_set(
    """a about above after again all almost also although always am an and another any anyone anything are aren't as
    at away back be became because been before being below better between big both bought but buy by came can
    can't cannot come could couldn't did didn't do does doesn't doing don't done down each either else enough
    even ever every few find first for found from get gets getting give given go goes going gone good got
    great had has hasn't have haven't having he he's her here hers him his how however i i'd i'll i'm i've if
    in into is isn't it it's its itself just keep know last least less let like little long look looks lot
    made make makes many may maybe me might mine more most much must my myself need needed never new next nice
    no not nothing now of off often old on once one ones only or other others our out over own perfect pretty
    purchase purchased put quite rather really right said same see seem seems set several she should since so
    some someone something still such sure take than that that's the their them then there these they they're
    they've thing things think this those though thought through to too took try tried two under until up upon
    us use used uses using very want wanted was wasn't way we we're well went were what when where which while
    who whole why will with within without won't work worked works would wouldn't yes yet you you'll you're
    your"""
)
_VAGUE = word_set(
    """bit lot thing time year day week month way problem issue one person people review reviewer star product item
    amazon fact part place reason end side job couple case money price kind sort stuff idea point world love
    hand bottom top front back half order purchase need look use work deal rest piece fan guy minute hour
    morning night today life word question answer difference choice company seller name number hit occasion
    chance try surprise touch sense rate luck trick charm pleasure opinion experience favor type form matter
    line thought mind recipient receiver road best worst greatest second third main usual original pro con
    inside outside mid quality value total future past alone extra mouth ear finger thumb shoulder eye foot
    feet taste expectation fault friend wife husband son daughter kid family brother sister mother father
    mistake preference collection favorite"""
)


def tokens(text: str) -> list[str]:
    """Lower-case words and single punctuation characters, in order."""
    return [token.lower().replace("’", "'") for token in _TOKEN.findall(text)]


def is_content(word: str) -> bool:
    """Whether a token says something of its own: a word of three letters or more that is not a function word."""
    return len(word) > 2 and word[0].isalpha() and word not in STOP_WORDS


@functools.lru_cache(maxsize=65536)
def base_form(word: str) -> str:
    """The singular of a plural and the word of a possessive; good enough to merge inflections, not to be shown."""
    word = word.removesuffix("'s").removesuffix("'")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def pointed_at(words: Sequence[str]) -> set[str]:
    """Base forms of the heads of "this ..." and "these ..." in lower-case tokens: what the writer holds in hand."""
    found: set[str] = set()
    for i, word in enumerate(words):
        phrase: list[str] = []
        for following in words[i + 1 : i + 4] if word in ("this", "these") else ():
            if not is_content(following):
                break
            phrase.append(following)
        found.update(base_form(head) for head in phrase[-1:])
    return found


class Background:
    """How a corpus of items uses words: in how many items one occurs, and between which neighbours."""

    def __init__(self, texts_by_item: Iterable[tuple[str, str]] = ()) -> None:
        self._documents = 0
        self._frequency: Counter[str] = Counter()  # base form -> items it occurs in
        self._seen: Counter[str] = Counter()  # base form -> occurrences
        self._as_noun: Counter[str] = Counter()  # ... between a determiner and a function word
        self._owned: Counter[str] = Counter()  # ... after "my"
        self._capital: Counter[str] = Counter()  # ... with a capital inside a sentence
        for _, text in texts_by_item:
            self._documents += 1
            self._frequency.update(self._read(text))

    def _read(self, text: str) -> set[str]:
        present = set()
        cased = ["", *_TOKEN.findall(text), ""]
        words = [word.lower().replace("’", "'") for word in cased]
        for i in range(1, len(words) - 1):
            if not is_content(words[i]):
                continue
            base = base_form(words[i])
            present.add(base)
            self._seen[base] += 1
            before = words[i - 1]
            compound = is_content(before) and words[max(0, i - 2)] in _DETERMINERS and words[i + 1] in _AUXILIARIES
            self._as_noun[base] += compound or (before in _DETERMINERS and not is_content(words[i + 1]))
            self._owned[base] += before == "my"
            self._capital[base] += cased[i][0].isupper() and before not in ("", ".", "!", "?", '"')
        return present

    def rarity(self, word: str) -> float:
        """log((1 + items) / (1 + items with the word)), at least 0."""
        return math.log((1 + self._documents) / (1 + self._frequency[base_form(word)]))

    def is_known(self, word: str) -> bool:
        """Whether more than one item uses this spelling, so that it is no slip; one will do in a corpus under 20."""
        return self._frequency[base_form(word)] >= (2 if self._documents >= SMALL else 1)

    def is_noun(self, word: str) -> bool:
        """Whether the corpus uses it as a noun, no name, and it says something definite."""
        base = base_form(word)
        seen = self._seen[base]
        verb = (word.endswith("ed") and not word.endswith("eed")) or word.endswith("ly")
        if not seen or verb or base in _VAGUE or word in _VAGUE or self._capital[base] * 2 > seen:
            return False
        return self._as_noun[base] >= max(2 if self._documents >= SMALL else 1, 0.2 * seen)

    def is_owned(self, thing: str) -> bool:
        """Whether people have one of their own: at least a quarter of the mentions of its last word follow "my"."""
        base = base_form(thing.split()[-1])
        return self._owned[base] * 4 >= max(self._seen[base], 1)

    def things(self, words: Sequence[str]) -> frozenset[str]:
        """Nouns among lower-case tokens, and pairs of them ("noise gate"), by base form."""
        found = set()
        nouns = [is_content(word) and self.is_known(word) and self.is_noun(word) for word in words]
        for i, word in enumerate(words):
            if nouns[i] and not (i + 1 < len(words) and nouns[i + 1]):  # in "wire cutter" the thing is no wire
                found.add(base_form(word))
                if i and nouns[i - 1] and words[i - 1] != word:
                    found.add(f"{base_form(words[i - 1])} {base_form(word)}")
        return frozenset(found)


def shown_form(thing: str, texts: Iterable[str]) -> str:
    """The inflection of `thing` (base forms) that `texts` use most, in lower case; empty if they do not use it."""
    length = len(thing.split())
    forms: Counter[str] = Counter()
    for text in texts:
        words = tokens(text)
        for i in range(len(words) - length + 1):
            if " ".join(base_form(word) for word in words[i : i + length]) == thing:
                forms[" ".join(words[i : i + length]).removesuffix("'s")] += 1
    return min(forms, key=lambda form: (-forms[form], form)) if forms else ""
