"""Find numbers that a checksum or a register tells: cards, bank accounts, US social security numbers, public IP addresses."""

import ipaddress
import re
from collections.abc import Iterator

from stdnum import iban, luhn
from stdnum.us import ssn

_CARD = re.compile(r"(?<![A-Za-z0-9_.,+-])\d(?:[ -]?+\d){12,18}+(?![A-Za-z0-9_-]|[.,]\d)")
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[68]\d)\d{11}"  # Diners
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}"  # Discover
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|62\d{14,17}"  # UnionPay
    r"|(?:50|5[6-9]|6[37])\d{14,17}"  # Maestro
)
_CARD_GROUPS = re.compile(r"\d{13,19}|(?:\d{4}[ -]){3}\d{1,4}(?:[ -]\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5}")

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d\d(?:[ -]?+[A-Za-z0-9]){11,30}+")
_SSN = re.compile(r"(?<![\w.+-])\d{3}-\d\d-\d{4}(?![\w-]|[.,]\d)")
_NAMED_SSN = re.compile(
    r"\b(?:ssn|social security(?: number| no\.?| #)?)\W{0,3}(?:is |was )?(\d{3}[ -]?\d\d[ -]?\d{4})\b", re.IGNORECASE
)

_IPV4 = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:|:(?=:)){2,7}:?[0-9A-Fa-f]{1,4}(?![\w:])")
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:")
_VERSION = re.compile(
    r"(?:version|ver|v|firmware|build|driver|release|update|chapter|section|clause)\W{0,3}$", re.IGNORECASE
)


def cards(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans of numbers that an issuer may have given to a card: prefix, length, grouping and check digit agree."""
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _ISSUERS.fullmatch(digits) and _CARD_GROUPS.fullmatch(match[0]) and luhn.is_valid(digits):
            yield match.span()


def accounts(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans of IBANs, by their country's length and check digits."""
    end = 0
    for match in _IBAN.finditer(text):
        # Words behind the number may look like more of it: ever shorter, at spaces.
        candidate = match[0]
        while len(candidate) >= 15 and match.start() >= end:
            if iban.is_valid(candidate, check_country=False):
                end = match.start() + len(candidate)
                yield match.start(), end
                break
            candidate = candidate[: max(candidate.rfind(" "), 0)]


def social_security(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans of US social security numbers: with hyphens, or where the words before say what they are."""
    for match in _SSN.finditer(text):
        if ssn.is_valid(match[0]):
            yield match.span()
    for match in _NAMED_SSN.finditer(text):
        yield match.span(1)


def internet_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans of public IP addresses; those of private networks say nothing of a person, and versions look alike."""
    for match in _IPV4.finditer(text):
        parts = match[0].split(".")
        if (
            max(map(len, parts)) == 3
            and not _VERSION.search(text[max(0, match.start() - 14) : match.start()])
            and _public(match[0])
        ):
            yield match.span()
    if may_hold_ipv6(text):
        for match in _IPV6.finditer(text):
            if match[0].count(":") >= 3 and _public(match[0]):
                yield match.span()


def may_hold_ipv6(text: str) -> bool:
    """Tell quickly whether `text` has colons among hexadecimal digits, as no time of day has."""
    return ":" in text and _COLONS.search(text) is not None


def _public(address: str) -> bool:
    # Addresses kept for examples in documents count as public: people invent them.
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return found.is_global or any(found in network for network in _DOCUMENTS if network.version == found.version)


_DOCUMENTS = tuple(map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")))
