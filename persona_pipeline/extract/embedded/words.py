"""Tokenise texts into words and filter stop words, without a parser."""

import re


def word_set(text: str) -> frozenset[str]:
    """Split a text into the set of its words."""
    return frozenset(text.split())


_TOKEN = re.compile(r"[A-Za-z]+(?:['’][a-z]+)?|[^\sA-Za-z]")
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


def tokens(text: str) -> list[str]:
    """Lower-case words and single punctuation characters, in order."""
    return [token.lower().replace("’", "'") for token in _TOKEN.findall(text)]


def is_content(word: str) -> bool:
    """Whether a token is a content word: three letters or more and not a function word."""
    return len(word) > 2 and word[0].isalpha() and word not in STOP_WORDS


def singular(word: str) -> str:
    """Singular of a lower-case English noun; good enough to merge inflections, not to be shown."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
