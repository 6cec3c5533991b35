"""Escape and shorten untrusted text (reviews, titles, LLM output) for a terminal."""

import unicodedata

from rich.text import Text


def one_line(text: str, most: int = 500) -> Text:
    """Text as one line of at most `most` characters; never markup."""
    return Text(_cut(_visible(" ".join(text.split())), most))


def paragraph(text: str, most: int = 2_000) -> Text:
    """Text with its line breaks, of at most `most` characters; never markup."""
    return Text(_cut("\n".join(_visible(line) for line in text.splitlines()), most))


def counted(number: int, noun: str) -> str:
    """A number of things: 1 request, 2,000 requests."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _visible(text: str) -> str:
    """Replace control and format characters: a terminal would obey an escape sequence."""
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text.expandtabs())


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"
