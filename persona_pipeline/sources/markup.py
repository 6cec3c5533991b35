"""Take markup out of a text: entities become characters, tags, comments, scripts and styles go. Pure Python, linear in length."""

import html
import re
from html.entities import html5

_ENTITY = re.compile(
    r"&(?:#(?:[0-9]{1,7}(?![0-9])|[xX][0-9a-fA-F]{1,6}(?![0-9a-fA-F]));?"
    r"|[A-Za-z][A-Za-z0-9]{1,31}(?:;|(?![A-Za-z0-9=;])))"
)
_ESCAPES = 2  # "&amp;quot;" is a text that was escaped twice

# Every `[^<>]` ends at the next angle bracket and nothing is tried twice (possessive): the whole is linear.
_ATTRIBUTES = r"[^<>=]*+=(?:(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*+>|[^<>]*+>)"
_TAG = re.compile(
    rf"</?(?P<name>[A-Za-z][A-Za-z0-9:_-]*+)(?:\s*+/?>|\s++{_ATTRIBUTES})|<[!?][A-Za-z\[][^<>]*+>|</[A-Za-z][^<>]*+>"
)
# Phrasing content stands inside a word ("H<sub>2</sub>O"); every other element begins a new line.
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "ins",
        "kbd",
        "label",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
_BLOCK = re.compile(r"<!--|-->|<(/?)(script|style)(?![\w-])[^<>]*+>", re.IGNORECASE)
_UNFINISHED = re.compile(r"<[A-Za-z/!?][^<>]*+\Z|&#?[A-Za-z0-9]{0,31}\Z")

# What tells program or style text from a title: at least two of these, or one style rule.
_STYLE_RULE = re.compile(r"[\w\])*-][ ]?\{\s*[a-z-]{3,30}\s*:[^{};]{1,80}[;}]")
_CODE = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?:var|let|const)\s+[A-Za-z_$][\w$]*\s*(?:=|;)",
        r"\bfunction\b\s*[\w$]{0,60}\s*\([^()]{0,200}\)\s*\{|=>\s*\{",
        r"\b(?:window|document|console|jQuery|ue|P|A|\$)\s*[.(]\s*[A-Za-z_$'\"#]",
        r"[\w$)\]]\.[A-Za-z_$][\w$]*\s*\([^()]{0,200}\)\s*(?:;|$)",
        r"\bnew\s+[A-Z][\w$]*\s*\(",
        r"\b(?:if|for|while|return)\s*\([^()]{1,200}\)\s*[{;]|\breturn\s+[\w$.]+;",
        r"[^\s=!<>]\s*={1,3}\s*[^\s=]{1,80};",
        r"(?:\|\||&&)\s*[\w$+!({\[]",
    )
)


def unescaped(text: str) -> str:
    """Return the text with named and numeric character references decoded, those escaped twice as well.

    A name without its semicolon counts only where no letter, digit or `=` follows, so that "rock&reggae" and the query
    of a link stay. References to surrogates stay surrogates: exports write emoji as two of them.
    """
    for _ in range(_ESCAPES):
        decoded = _ENTITY.sub(_character, text) if "&" in text else text
        if decoded == text:
            break
        text = decoded
    return text


def _character(match: re.Match[str]) -> str:
    name = match[0]
    if name.startswith("&#"):
        digits = name[2:].rstrip(";")
        code = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
        return chr(code) if 0xD800 <= code <= 0xDFFF else html.unescape(name)
    return html5.get(name[1:], name)


def without_tags(text: str) -> str:
    """Return the text without tags, comments, scripts and styles; "<3" and "a < b" stay.

    Tags inside a word vanish, others become a space. A script without an end loses its tag alone.
    """
    if "<" not in text:
        return text
    return _TAG.sub(_gap, _without_blocks(text))


def _gap(tag: re.Match[str]) -> str:
    name = tag["name"]
    return "" if name and name.lower() in _INLINE else " "


def _without_blocks(text: str) -> str:
    tokens = list(_BLOCK.finditer(text))
    if not tokens:
        return text
    ends: dict[str, int] = {}  # where the last end of each kind lies: what opens behind it never ends
    for token in tokens:
        if _closes(token):
            ends[_kind(token)] = token.start()
    kept, begin, inside = [], 0, ""
    for token in tokens:
        kind = _kind(token)
        if inside:
            if _closes(token) and kind == inside:
                inside, begin = "", token.end()
        elif not _closes(token) and ends.get(kind, -1) > token.start():
            kept.append(text[begin : token.start()])
            inside = kind
    return " ".join([*kept, text[begin:]])


def _kind(token: re.Match[str]) -> str:
    return token[2].lower() if token[2] else "comment"


def _closes(token: re.Match[str]) -> bool:
    return token[0] == "-->" or token[1] == "/"


def without_unfinished(text: str) -> str:
    """Return a text that was cut without the tag or character reference the cut left unfinished, and without an open script."""
    text = _UNFINISHED.sub("", text)
    tokens = list(_BLOCK.finditer(text))
    return text[: tokens[-1].start()] if tokens and not _closes(tokens[-1]) else text


def is_markup_residue(text: str) -> bool:
    """Tell a title that is program or style text which a crawler took for it ("var aPageStart = (new Date()).getTime();")."""
    text = text[:2_000]
    if not any(mark in text for mark in "=({"):
        return False
    if _STYLE_RULE.search(text):
        return True
    return sum(pattern.search(text) is not None for pattern in _CODE) >= 2
