"""Find e-mail addresses, those in other scripts and those spelled out against robots as well."""

import re
from collections.abc import Iterator

_LOCAL = r"\w.%+'&~-"
_TLD = r"(?:(?!(?:png|jpe?g|gif|svg|webp|bmp|tiff?)\b)(?:xn--[a-z0-9-]{2,59}|[A-Za-z]{2,24}|[^\W\d_]{2,24}))"
# Scripts that put no space before an address; within them, an address in Latin letters begins where those do.
_TOUCHING = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af](?=[A-Za-z0-9.%+'&~_-]+$)")
_PLAIN_ADDRESS = re.compile(rf"(?<![{_LOCAL}])[{_LOCAL}]++@ ?(?:[\w-]+(?:\.| dot ))+{_TLD}", re.IGNORECASE)

_AT = r"(?:at|@|ät|at sign|arroba|arobase|chiocciola|собака)"
_DOT = r"(?:dot|\.|punkt|punto|point|ponto|точка)"
_OPEN, _CLOSE = r"[\[({<]", r"[\])}>]"
_SPELLED_DOT = rf"(?: ?{_OPEN} ?{_DOT} ?{_CLOSE} ?|\.| dot )"
_BRACKETED_AT = re.compile(rf"{_OPEN} ?(?i:{_AT}) ?{_CLOSE}")
_PROVIDERS = (
    r"(?:gmail|googlemail|yahoo|ymail|hotmail|outlook|icloud|aol|gmx|proton(?:mail)?|fastmail|comcast|verizon|live|msn)"
)
# Without a case to fold, a search begins at its first letters, in C.
_WORD_AT = re.compile(rf" at (?:\S{{1,60}} (?i:dot )|(?i:{_PROVIDERS}))")
_UPPER_AT = re.compile(rf" AT (?:\S{{1,60}} (?i:dot )|(?i:{_PROVIDERS}))")
_BRACKETED = re.compile(
    rf"(?<![{_LOCAL}])[{_LOCAL}]++ ?{_OPEN} ?{_AT} ?{_CLOSE} ?(?:[\w-]+{_SPELLED_DOT}){{1,4}}{_TLD}\b", re.IGNORECASE
)
# Without brackets "at" is a word: both dots are spelled out before a common ending, or the domain is a mailbox provider's.
_ENDINGS = (
    r"(?:com|net|org|edu|gov|info|biz|io|me|tv|us|eu|uk|co\.uk"
    r"|de|fr|es|it|nl|ca|au|in|br|mx|jp|cn|ru|ch|at|be|se|no|dk|pl|ie|nz)"
)
_WORDS = re.compile(
    rf"(?<![{_LOCAL}])[{_LOCAL}]++ (?:at|@) (?:(?!(?:the|a|an|this|that|their|our|my|its)\b)[\w-]+(?: dot [\w-]+)? dot {_ENDINGS}"
    rf"|{_PROVIDERS} ?(?:\.| dot ) ?{_ENDINGS})\b",
    re.IGNORECASE,
)


def spelled_out(text: str) -> bool:
    """Tell quickly whether `text` may spell an address out."""
    return (
        _BRACKETED_AT.search(text) is not None
        or _WORD_AT.search(text) is not None
        or _UPPER_AT.search(text) is not None
    )


def emails(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans of e-mail addresses."""
    if "@" in text:
        for match in _PLAIN_ADDRESS.finditer(text):
            # A quotation mark or a dash before the address is none of it.
            start = match.start() + len(match[0]) - len(match[0].lstrip(".%+'&~-"))
            local = text[start : text.index("@", start)]
            if touching := _TOUCHING.search(local):
                start += touching.end()
            if local:
                yield start, match.end()
    if _BRACKETED_AT.search(text):
        yield from (match.span() for match in _BRACKETED.finditer(text))
    if _WORD_AT.search(text) or _UPPER_AT.search(text) or " @ " in text:
        yield from (match.span() for match in _WORDS.finditer(text))
