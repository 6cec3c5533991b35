"""Mask personal data in plain text: addresses of mail and post, telephone, card, account and social security numbers, IP addresses.

Each becomes a word in brackets, `[email]`, `[phone]`, `[card]`, `[account]`, `[ssn]`, `[ip]`, `[address]`. The text around stays as
it is; names of people do not go: no list of names is right. `benchmarks/masking.py` says how much is found and how much else.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from unicodedata import decimal

from persona_pipeline.sources.recognisers.emails import emails, spelled_out
from persona_pipeline.sources.recognisers.numbers import (
    accounts,
    cards,
    internet_addresses,
    may_hold_ipv6,
    social_security,
)
from persona_pipeline.sources.recognisers.phones import phones
from persona_pipeline.sources.recognisers.streets import streets

Finder = Callable[[str], Iterator[tuple[int, int]]]

_MANY_DIGITS = re.compile(r"[0-9](?<![0-9].)(?:[^0-9]{0,3}[0-9]){6}")
_DIGIT_OR_AT = re.compile("[\\d@\uff20]")
_ASCII_DIGIT = re.compile("[0-9]")
_IN_NUMBERS: tuple[tuple[str, Finder], ...] = (
    ("[account]", accounts),
    ("[card]", cards),
    ("[ip]", internet_addresses),
    ("[ssn]", social_security),
    ("[phone]", phones),
)

# One character for one, so that what is found in the plain form lies at the same place in the text.
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d\u30fc"), "-")
_BLANKS = dict.fromkeys(
    map(ord, "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"), " "
)
_WIDE = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_DIGITS = {code: str(decimal(chr(code))) for code in range(0x660, 0x1FBFA) if chr(code).isdecimal()}
_PLAIN = str.maketrans(
    _DIGITS | _WIDE | _HYPHENS | _BLANKS | dict.fromkeys(map(ord, "\u3002\uff61\u00b7\u2022\u30fb"), ".")
)
_NOT_PLAIN = re.compile(
    "["
    + "".join(f"{chr(code)}-{chr(code + 9)}" for code, digit in _DIGITS.items() if digit == "0" and code < 0x10000)
    + "".join(map(chr, _HYPHENS | _BLANKS))
    + "\u00b7\u2022\u3002\u30fb\uff01-\uff61]"
)
_NOT_PLAIN_ASTRAL = re.compile("[\U000104a0-\U0001fbf9]")


def mask_personal_data(text: str) -> str:
    """Return the text of a review with all personal data masked.

    Text without a digit or an address costs a few searches. What is masked already stays masked.
    """
    plain = _plain(text)
    digits = _ASCII_DIGIT.search(plain) is not None
    finders: list[tuple[str, Finder]] = [("[email]", emails)] if "@" in plain or spelled_out(plain) else []
    if digits:
        if _MANY_DIGITS.search(plain) or may_hold_ipv6(plain):
            finders += _IN_NUMBERS
        finders.append(("[address]", streets))
    return _masked(text, plain, finders)


def mask_title(text: str) -> str:
    """Return a title, creator or category with e-mail addresses, cards and accounts masked; part numbers stay."""
    plain = _plain(text)
    return _masked(text, plain, (("[email]", emails), ("[account]", accounts), ("[card]", cards)))


def _plain(text: str) -> str:
    # Without a digit or an "at" of any script there is nothing to find that the text's own characters do not show.
    if (
        text.isascii()
        or not _DIGIT_OR_AT.search(text)
        or not (_NOT_PLAIN.search(text) or _NOT_PLAIN_ASTRAL.search(text))
    ):
        return text
    return text.translate(_PLAIN)


def _masked(text: str, plain: str, finders: Sequence[tuple[str, Finder]]) -> str:
    found: list[tuple[int, int, str]] = []
    for label, finder in finders:
        spans = _apart(finder(plain))
        if spans:
            found += [(start, end, label) for start, end in spans]
            # What one has found is no text for the next.
            plain = _replaced(plain, [(start, end, "\0" * (end - start)) for start, end in spans])
    return _replaced(text, sorted(found)) if found else text


def _apart(spans: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if not apart or start >= apart[-1][1]:
            apart.append((start, end))
    return apart


def _replaced(text: str, spans: list[tuple[int, int, str]]) -> str:
    parts, begin = [], 0
    for start, end, label in spans:
        parts += [text[begin:start], label]
        begin = end
    return "".join([*parts, text[begin:]])
