"""Turn raw text of an input file into plain text on one line: decoded, without markup and controls, NFC, cut at a limit.

Pure Python for workers that see tens of millions of texts: ordinary text costs a few searches in C, everything is linear
in length, and a text far above the limit is cut before anything else runs.
"""

import re
import unicodedata
from collections.abc import Callable

import ftfy
import regex

from persona_pipeline.sources.markup import unescaped, without_tags, without_unfinished

_BOUND = 8  # of the limit: markup and character references may be that much longer than what they stand for
_MARGIN = 400  # characters before a cut, in which what is to be masked may be cut in two and stay
_AT_WORD = 0.85  # of the limit: a space behind that is a good place to cut; before it, the text has no words

_SPACES = re.compile(
    "[\x1c-\x1f\x85\u2800\u3164\uffa0]"
)  # blanks that `str.split` keeps, and separators that no text means
# Controls but white space, soft hyphen, bidi controls, zero width characters, private use, noncharacters. Letters, marks
# and emoji that are newer than any table are not among them.
_REMOVED = (
    "\x00-\x08\x0e-\x1b\x7f\x81\x8d\x8f\x90\x9d\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ue000-\uf8ff"
    "\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0001\U000f0000-\U0010ffff"
) + "".join(chr(plane << 16 | last) for plane in range(1, 15) for last in (0xFFFE, 0xFFFF))
_CONTROLS = re.compile(f"[{_REMOVED}]")
# One search says that a text has none of what `_without_controls` mends; some that is in order passes, too, so that the
# search has few ranges beyond the 65,536 characters that it keeps a table of.
_ODD = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ud800-\uf8ff"
    "\ufdd0-\ufdef\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0003fffe-\U0010ffff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_C1 = re.compile("[\x80-\x9f]")  # what is left of cp1252 read as latin-1, as browsers take it
_TAG_CHARACTERS = re.compile(
    "(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f]+"
)  # but in flags of regions
_MISREAD = re.compile("[\xc2-\xf4][^\x00-\x7f]")  # how every UTF-8 sequence looks that was read as a Western encoding
_MARKS = regex.compile(r"(\p{M}{30})\p{M}+")  # Unicode's stream-safe bound; sorting longer runs is quadratic
_JOINERS = re.compile("([\u200c\u200d])[\u200c\u200d]+")
_JOINING = (
    r"[[\p{Arabic}\p{Syriac}\p{Mandaic}\p{Mongolian}\p{Nko}\p{Adlam}\p{Hanifi_Rohingya}\p{Devanagari}\p{Bengali}\p{Gurmukhi}"
    r"\p{Gujarati}\p{Oriya}\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}\p{Sinhala}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Balinese}"
    r"\p{Javanese}]&&[\p{L}\p{M}]]"
)
# A joiner shapes letters of a joining script, ends a conjunct behind a virama, or ties emoji together.
_STRAY_JOINER = regex.compile(
    rf"(?V1)(?<!{_JOINING})\u200c|(?<!\p{{ccc=9}})\u200c(?!{_JOINING})"
    rf"|(?<!{_JOINING}|[\p{{Extended_Pictographic}}\p{{Emoji_Modifier}}\ufe0f\u20e3\U000e007f])\u200d"
    rf"|(?<!\p{{ccc=9}})\u200d(?!{_JOINING}|\p{{Extended_Pictographic}})"
)
_GRAPHEME = regex.compile(r"\X")
_UTF8_SEQUENCE = re.compile("[\x80-\U0010ffff]")


def clean_text(text: str, max_characters: int, mask: Callable[[str], str] | None = None) -> str | None:
    """Return plain text on one line of at most `max_characters` code points, or None where nothing is left.

    `mask`, if given, sees the plain text before it is cut, so that no half of a telephone number is left at the end.
    """
    whole = len(text) <= _BOUND * max_characters
    if not whole:
        text = without_unfinished(text[: _BOUND * max_characters])
    if "&" in text:
        text = unescaped(text)
    if "<" in text:
        text = without_tags(text)
    if not text.isascii():
        text = _plain_unicode(text)
    elif not text.isprintable():
        text = _CONTROLS.sub("", _SPACES.sub(" ", text))
    elif "  " not in text and text[:1] != " " and text[-1:] != " ":
        return _within(text, max_characters, mask, whole)
    return _within(" ".join(text.split()), max_characters, mask, whole)


def _within(text: str, limit: int, mask: Callable[[str], str] | None, whole: bool) -> str | None:
    if mask is None:
        return cut(text, limit) or None
    taken = limit + 2 * _MARGIN
    masked = mask(cut(text, taken))
    while len(masked) < limit + _MARGIN and taken < len(text):  # masking shortened it: the limit lies further on
        taken *= 2
        masked = mask(cut(text, taken))
    whole = whole and taken >= len(text)
    return cut(masked, limit if whole else min(limit, max(len(masked) - _MARGIN, 0))) or None


def _plain_unicode(text: str) -> str:
    if _MISREAD.search(text):
        text = ftfy.fix_encoding(text)
    if _ODD.search(text):
        text = _without_controls(text)
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", _MARKS.sub(r"\1", text))
    return text


def _without_controls(text: str) -> str:
    if _SURROGATE.search(text):  # pairs become the character they stand for, lone ones go
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    text = _TAG_CHARACTERS.sub("", _CONTROLS.sub("", _SPACES.sub(" ", text)))
    text = _C1.sub(lambda match: match[0].encode("latin-1").decode("cp1252"), text)
    if "\u200c" in text or "\u200d" in text:
        text = _STRAY_JOINER.sub("", _JOINERS.sub(r"\1", text))
    return text


def cut(text: str, limit: int) -> str:
    """Return at most `limit` code points of white-space-collapsed text: whole words where it has any, else whole graphemes.

    One grapheme that is longer than the limit is cut hard.
    """
    if len(text) <= limit:
        return text
    space = text.rfind(" ", int(_AT_WORD * limit), limit + 1)
    if space > 0:
        return text[:space].rstrip()
    # Graphemes are counted from a place where one begins for certain.
    end = start = text.rfind(" ", 0, limit) + 1
    for grapheme in _GRAPHEME.finditer(text, start):
        if grapheme.end() > limit:
            break
        end = grapheme.end()
    return text[:end].rstrip() if end > start else text[:limit].rstrip()


def decode(line: bytes) -> tuple[str, str]:
    """Return a line as text, and its encoding: `utf-8`, or `cp1252` for bytes that are not.

    A line that is UTF-8 but for fewer bad bytes than it has good sequences stays UTF-8; bad bytes become U+FFFD. A byte
    order mark goes.
    """
    try:
        return line.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        pass
    try:  # surrogates of their own, as Java and old databases write emoji
        halves = line.decode("utf-8-sig", "surrogatepass").encode("utf-16-le", "surrogatepass")
        return halves.decode("utf-16-le", "replace"), "utf-8"
    except UnicodeDecodeError:
        pass
    text = line.decode("utf-8-sig", "replace")
    bad = text.count("\ufffd")
    if len(_UTF8_SEQUENCE.findall(text)) - bad >= bad:
        return text, "utf-8"
    return line.decode("cp1252", "replace"), "cp1252"
