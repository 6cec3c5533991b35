"""Parse values of input records from the characters they have in the file: ids, numbers, moments, texts.

No number passes through a double on its way to an id or a moment, and whatever reads a file (a task, or the command that
finds the newest review) uses these functions: a value has one meaning.
"""

import re
from calendar import timegm
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_tz
from typing import Any

MISSING = frozenset(
    {
        *(
            "",
            "null",
            "Null",
            "NULL",
            "<null>",
            "<NULL>",
            "(null)",
            "(NULL)",
            "none",
            "None",
            "NONE",
            "undefined",
            r"\N",
        ),
        *("nan", "NaN", "NAN", "-nan", "-NaN", "+nan", "NaT", "1.#QNAN", "-1.#IND"),
        *("<NA>", "<na>", "NA", "N/A", "n/a", "N/a", "#N/A", "#n/a", "#NA"),
    }
)
"""Spellings in which programs write that there is no value."""

_LONGEST_MISSING = max(map(len, MISSING))
_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_ZONE = re.compile(r" (?=[+-]\d\d:?\d\d$)", re.ASCII)
_WHOLE = re.compile(r"([+-]?\d+)\.0+", re.ASCII)
_FORMATS = (
    *("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d"),
    *("%a %b %d %H:%M:%S %z %Y", "%m %d, %Y", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y"),
)
_LATEST = 253_402_300_800_000_000  # the year 10,000, in microseconds


class Number(str):
    """Characters of a number with a fraction or an exponent, as the file has them; a text of the same characters is none."""

    __slots__ = ()


class NotScalar(ValueError):  # noqa: N818 - it is told as the reason of a refusal
    """A list, an object, or true or false, where one value was expected."""


def characters(value: Any, depth: int = 0) -> str | None:
    """Return a value's characters, trimmed; None where it is missing.

    Objects that hold one value (MongoDB's `{"$oid": ".."}`, `{"$numberLong": ".."}`, `{"$date": ..}`) are that value. Raises
    NotScalar for any other object, for lists, and for true and false, which name nothing and count nothing.
    """
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= _LONGEST_MISSING and text in MISSING:
            return None
        return text if type(value) is str else Number(text)
    if value is None:
        return None
    if isinstance(value, bool):
        raise NotScalar("true or false")
    if isinstance(value, dict) and depth < 2 and len(value) == 1:
        (key, held), *_ = value.items()
        if isinstance(key, str) and key.startswith("$"):
            return characters(held, depth + 1)
    if isinstance(value, dict | list | tuple | set | bytes):
        raise NotScalar("an object" if isinstance(value, dict) else "bytes" if isinstance(value, bytes) else "a list")
    return characters(Number(value) if isinstance(value, float) else str(value))


def identity(text: str) -> str:
    """Return the canonical form of an id: a whole number is written without a fraction (`10000000.0`) or an exponent."""
    if text[-1] == "0" and (whole := _WHOLE.fullmatch(text)):
        return whole[1]
    if type(text) is Number and ("e" in text or "E" in text):
        try:
            exact = Decimal(text)
        except InvalidOperation:
            return text
        if exact == exact.to_integral_value() and abs(exact.adjusted()) < 40:
            return str(int(exact))
    return str(text)


def number(text: str) -> float | None:
    """Return the number that all of the text is; None for any other text, and for what is not finite."""
    if not _NUMBER.fullmatch(text):
        return None
    found = float(text)
    return found if abs(found) < float("inf") else None


def moment(text: str, form: str | None = None) -> int | None:
    """Return microseconds since 1970, UTC; None where the text is no moment before the year 10,000.

    Read are epoch seconds, milliseconds, microseconds and nanoseconds (told apart by their digits, which is sure from 1990
    on), with a fraction or an exponent; dates and times as digits (20240131, 20240131235959); ISO 8601; the forms of RFC 2822
    and of Goodreads; dates with the month in letters; `09 13, 2018`. Not read is what could be either day or month first:
    `form` says it, in the letters of strptime. What names no zone is UTC.
    """
    if form is not None:
        return _of_datetime(_strptime(text, form))
    if text.isascii() and text.isdigit():
        return _of_digits(text)
    if text[0] in "0123456789+.-" and _NUMBER.fullmatch(text):
        return _of_fraction(Decimal(text))
    try:
        return _of_datetime(datetime.fromisoformat(_ZONE.sub("", text.removesuffix(" UTC").removesuffix(" GMT"))))
    except ValueError:
        pass
    for known in _FORMATS:
        if found := _strptime(text, known):
            return _of_datetime(found)
    return _of_letter(text)


def _of_digits(text: str) -> int | None:
    digits = len(text)
    if digits == 8 or digits == 14:
        found = _strptime(text, "%Y%m%d" if digits == 8 else "%Y%m%d%H%M%S")
        return _of_datetime(found)
    return _scaled(int(text), digits) if digits < 30 else None


def _of_fraction(exact: Decimal) -> int | None:
    if exact < 0 or exact.adjusted() > 20:
        return None
    if exact == exact.to_integral_value():  # a whole number, as a column that held nothing somewhere writes it
        return _of_digits(str(int(exact)))
    found = _scaled(exact, max(exact.adjusted() + 1, 1))
    return None if found is None else int(found)


def _scaled(value: Any, digits: int) -> int | None:
    if digits <= 11:
        found = int(value * 1_000_000)
    elif digits <= 14:
        found = int(value * 1_000)
    elif digits <= 17:
        found = int(value)
    else:
        found = int(value) // 1_000
    return found if found < _LATEST else None


def _strptime(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _of_datetime(found: datetime | None) -> int | None:
    if found is None:
        return None
    try:
        utc = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        return None
    return timegm(utc.timetuple()) * 1_000_000 + utc.microsecond


def _of_letter(text: str) -> int | None:
    """A moment as in the head of an e-mail. `parsedate_tz` reads much that is none: a weekday has to stand before it."""
    if "," not in text or len(text) > 60 or not text[:3].isalpha():
        return None
    found = parsedate_tz(text)
    if found is None or found[0] < 1000:
        return None
    try:
        datetime(*found[:6])
    except ValueError:
        return None
    return (timegm((*found[:6], 0, 1, 0)) - (found[9] or 0)) * 1_000_000
