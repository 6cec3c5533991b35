"""Tell rows of input of people who were erased: they go nowhere, not even to the rejected ones.

The files are the shop's and still hold their rows. Of a row in which no user id can be read every word is tried, so that a broken
row of theirs is no loophole.
"""

import re
from collections.abc import Callable

_WORDS = re.compile(r"[^\s\"'\\,;:|{}\[\]()]+")


def is_erased(user: str | None, line: str, erased: Callable[[str], bool]) -> bool:
    """Whether a row is by somebody erased: by its user id where one was read, else by any of its words."""
    return erased(user) if user is not None else names_erased(line, erased)


def names_erased(line: str, erased: Callable[[str], bool]) -> bool:
    """Whether any word of a text is the id of somebody erased."""
    return any(erased(word) for word in set(_WORDS.findall(line)))
