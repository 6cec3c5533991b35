"""Find telephone numbers of many regions, by Google's numbering plans (`phonenumbers`), their form and the words around them.

Digits alone tell little: part numbers, sizes and prices look the same. So a sequence of 7 to 15 digits counts when it is
written for the whole world (+44 ..), has the form of North America (555-123-4567), or is valid in a region and written as its
people group it; after words such as "call" or "Telefon" less is asked, after "model" or "order no." it is no telephone.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from phonenumbers import (
    Leniency,
    NumberParseException,
    PhoneNumberFormat,
    PhoneNumberMatcher,
    format_number,
    is_possible_number,
    is_valid_number,
    parse,
)

from persona_pipeline.sources.recognisers.phone_words import NO_PHONE, PHONE, PHONE_AFTER

# Those with most reviewers; numbers of every region are found where they begin with its code (+..).
REGIONS = (
    *(
        "US",
        "GB",
        "DE",
        "FR",
        "IN",
        "BR",
        "JP",
        "IT",
        "ES",
        "MX",
        "CA",
        "AU",
        "NL",
        "CN",
        "KR",
        "TR",
        "RU",
        "PL",
        "ID",
        "BE",
    ),
    *(
        "SE",
        "CH",
        "AT",
        "PT",
        "AR",
        "CL",
        "CO",
        "ZA",
        "NG",
        "KE",
        "EG",
        "SA",
        "AE",
        "IL",
        "IR",
        "GR",
        "RO",
        "HU",
        "CZ",
        "DK",
    ),
    *("NO", "FI", "IE", "NZ", "UA", "VN", "TH", "MY", "PH", "TW", "HK", "SG", "PK", "BD"),
)
MOST_CANDIDATES = 50  # of one text are looked up; beyond, what has the form of a number counts

_SEPARATOR = r"(?:[ .\-/]|\) ?-?|\(| \(| ?- |\. | ?/ ?)"
# Letters of scripts that put no space before a number ("电话138..") may touch it.
_LETTER = r"A-Za-zÀ-ɏЀ-ӿ_"
_UNIT = r" ?(?:k?hz|mm|cm|km|m|kg|g|lbs?|oz|w|v|mah|ml|l|rpm|lumens|miles|hours|grit|dollars|euros?)\b"
_CANDIDATE = re.compile(
    rf"(?<![{_LETTER}\d$€£¥₹#/=.,+)-])(?<!\d:)(?<![$€£¥₹] )(?:\+ ?)?\(?\d(?:{_SEPARATOR}?\d){{5,24}}+"
    rf"(?!(?!x\d)[{_LETTER}\d%]|[.,:]\d|(?i:{_UNIT}))"
)
_EXTENSION = re.compile(r",? ?(?:ext\.?|extension|x|Durchwahl|poste|доб\.?) ?\d{1,5}\b", re.IGNORECASE)
_AMERICAN = re.compile(r"(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ ./-])\d{3}[ .-]?\d{4}")
_SPACED_AMERICAN = re.compile(r"(?:1 )?[2-9]\d\d [2-9]\d\d \d{4}")
_LOCAL_AMERICAN = re.compile(r"[2-9]\d\d[ .-]\d{4}")
_AREA_IN_BRACKETS = re.compile(r"\(\d{2,5}\) ?\d")
_IN_PAIRS = re.compile(r"0[1-9](?:[ .-]\d\d){4}")  # as the French write theirs
_AREA_AND_LINE = re.compile(r"\(?0?\d{2,5}(?:\) ?|[ /-]| / )\d{4,9}(?:-\d{1,4})?|\(\d{2,5}\)[ \d-]+")
_DATE = re.compile(r"(?<!\d)(?:\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)\d\d|(?:19|20)\d\d[-/.][01]?\d[-/.][0-3]?\d)(?!\d)")
_DECIMAL = re.compile(r"\d{1,3}\.\d{3,}")
_YEARS = re.compile(r"(?:\d{1,2}\D{1,3})?(?:(?:19|20)\d\d\D{0,3}){2,}|(?:19|20)\d\d \d\d? \d\d?")
_TEN_OR_MORE_BARE = re.compile(
    r"[2-9]\d\d[2-9]\d{6}|1[2-9]\d\d[2-9]\d{6}|[6-9]\d{9}|1[3-9]\d{9}|[78]9\d{9}|0\d{8,11}"  # NANP, India, China, Russia, trunk 0
)
_BEFORE, _AFTER = 32, 24


def phones(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans of telephone numbers with their extensions."""
    for place, match in enumerate(_CANDIDATE.finditer(text)):
        look_up = place < MOST_CANDIDATES
        before, after = text[max(0, match.start() - _BEFORE) : match.start()], text[match.end() : match.end() + _AFTER]
        for start, end in _parts(match[0]) if look_up else [(0, len(match[0]))]:
            if _said(match[0][start:end], _context(before + match[0][:start], after), look_up):
                end += match.start()
                extension = _EXTENSION.match(text, end)
                yield match.start() + start, extension.end() if extension else end
                break
        else:
            if match[0][0] == "+" and 9 <= sum(c.isdigit() for c in match[0]) <= 15:
                yield match.span()  # nothing else is written so, whatever a plan says of its length


def _parts(candidate: str) -> list[tuple[int, int]]:
    """Return spans of a candidate, itself first, then with groups at either end left out: "415-555-0132 2 times"."""
    spans = [(int(candidate.startswith("(") and ")" not in candidate), len(candidate))]
    if 9 < sum(c.isdigit() for c in candidate) < 18:
        head, tail = candidate.find(" "), candidate.rfind(" ")
        spans += [(0, tail)] if tail > 0 and len(candidate) - tail <= 4 else []
        spans += [(head + 1, len(candidate))] if 0 < head <= 3 else []
    # A part of the commonest form says itself where the number ends.
    return spans if candidate[0] in "+0" else sorted(spans, key=lambda span: not _AMERICAN.fullmatch(candidate, *span))


def _context(before: str, after: str) -> str:
    """Return `phone`, `other` or nothing, by the nearest word that says what a number is."""
    phone, other = (max((match.end() for match in words.finditer(before)), default=0) for words in (PHONE, NO_PHONE))
    if phone or other:
        return "phone" if phone > other else "other"
    return "phone" if PHONE_AFTER.match(after) else ""


def _said(number: str, context: str, look_up: bool) -> bool:
    digits = re.sub(r"\D", "", number)
    groups = re.findall(r"\d+", number)
    if not 7 <= len(digits) <= 15 or number.count("(") != number.count(")"):
        return False
    world = number.startswith("+") or (digits.startswith("00") and digits[2] != "0" and len(digits) >= 11)
    if context == "other":
        return number.startswith("+") and _valid(_with_plus(number, digits), None)
    if world:
        return not look_up or _possible(_with_plus(number, digits))
    if _DATE.search(number) or _YEARS.fullmatch(number) or _DECIMAL.fullmatch(number):
        return False
    if context == "phone":
        return _called(number, digits, groups, look_up)
    return _alone(number, digits, groups, look_up)


def _called(number: str, digits: str, groups: list[str], look_up: bool) -> bool:
    """Tell a number that a word announces; such words stand before other numbers, too ("phone 6 7 8", "call it 50 50")."""
    lengths = {len(group) for group in groups}
    if lengths == {1} or _AMERICAN.fullmatch(number):
        return True
    round_numbers = len(groups) > 1 and all(group.endswith("0") for group in groups)
    if (
        round_numbers
        or (len(groups) > 3 and lengths == {1, 2})
        or (len(groups) > 2 and lengths == {4} and digits[0] != "0")
    ):
        return False
    if _LOCAL_AMERICAN.fullmatch(number):
        return True
    if len(digits) >= 12 and digits[0] != "0":  # the code of a country without its plus
        return not look_up or _possible("+" + digits)
    return (
        not look_up
        or (len(groups) == 1 and len(digits) == 10)
        or _anywhere(digits)
        or (len(digits) >= 9 and digits[0] == "0")
    )


def _alone(number: str, digits: str, groups: list[str], look_up: bool) -> bool:
    """Tell a number that no word announces."""
    if len(set(digits)) < 3:
        return False
    american = _AMERICAN.fullmatch(number) and (" " not in number.strip("+1 ") or "(" in number or "-" in number)
    if american or _SPACED_AMERICAN.fullmatch(number):
        return True
    if _book_or_goods(digits):
        return False
    if len(groups) == 1 and "(" not in number:
        return _TEN_OR_MORE_BARE.fullmatch(digits) is not None and (not look_up or _anywhere(digits))
    lengths = {len(group) for group in groups}
    if len(digits) < 9 or groups[0] == "0" or min(map(len, groups[1:])) < 2:
        return False
    if digits[0] == "0" or _AREA_IN_BRACKETS.match(number):
        steps = {int(b) - int(a) for a, b in pairwise(groups)}
        if len(steps) == 1 or len(digits) > 13:
            return False
        if _IN_PAIRS.fullmatch(number):
            return True
        return not look_up or (_anywhere(digits) if _AREA_AND_LINE.fullmatch(number) else _as_its_region_writes(number))
    if len(lengths) == 1 or (lengths <= {1, 2, 3} and set(map(len, groups[1:])) == {3}):
        return False  # thousands, sizes, resolutions
    return look_up and _as_its_region_writes(number)


def _book_or_goods(digits: str) -> bool:
    """Tell the check digit of an ISBN, EAN or UPC."""
    if len(digits) == 10:
        return sum((10 - i) * int(c) for i, c in enumerate(digits)) % 11 == 0
    if len(digits) not in (12, 13, 14):
        return False
    return sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(reversed(digits))) % 10 == 0


def _with_plus(number: str, digits: str) -> str:
    digits = re.sub(r"\D", "", number.replace("(0)", "", 1))
    return "+" + (digits if number.startswith("+") else digits[2:])


@lru_cache(maxsize=4096)
def _valid(number: str, region: str | None) -> bool:
    try:
        return bool(is_valid_number(parse(number, region)))
    except NumberParseException:
        return False


@lru_cache(maxsize=4096)
def _possible(number: str) -> bool:
    try:
        return bool(is_possible_number(parse(number, None)))
    except NumberParseException:
        return False


@lru_cache(maxsize=4096)
def _anywhere(digits: str) -> bool:
    return any(_valid(digits, region) for region in REGIONS)


@lru_cache(maxsize=4096)
def _as_its_region_writes(number: str) -> bool:
    groups = re.findall(r"\d+", number)
    return any(_grouped(number, region) == groups for region in REGIONS) or any(
        PhoneNumberMatcher(number, region, leniency=Leniency.EXACT_GROUPING).has_next() for region in REGIONS
    )


def _grouped(number: str, region: str) -> list[str] | None:
    try:
        parsed = parse(number, region)
    except NumberParseException:
        return None
    return re.findall(r"\d+", format_number(parsed, PhoneNumberFormat.NATIONAL)) if is_valid_number(parsed) else None
