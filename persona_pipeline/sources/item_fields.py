"""Read the fields of item metadata, which come as texts, numbers, lists, paths and objects, as plain texts and lists."""

import html
import re
from collections.abc import Iterator
from typing import Any

from persona_pipeline.sources.values import NotScalar, characters

_PATH = re.compile(r"\s*[>|]\s*|\s+/\s+|\s*;\s*")
_COMMA = re.compile(r"\s*,\s*")
_NO_CATEGORY = frozenset({"(no genres listed)"})


def texts(value: Any) -> Iterator[str]:
    """Texts that a value holds, in their order, whatever lists and objects they stand in."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from texts(part)
    elif isinstance(value, dict):
        # Of an object that describes one thing (`{"name": "Home", "id": 4}`) its name is the text.
        named = value.get("name", value.get("title"))
        for part in [named] if named is not None else value.values():
            yield from texts(part)
    else:
        try:
            text = characters(value)
        except NotScalar:
            return
        if text is not None:
            yield text


def one_text(value: Any) -> str | None:
    """The text of a value; texts of a list behind one another; None where there is none."""
    return " ".join(texts(value)) or None


def described(value: Any) -> str | None:
    """A description: the texts of a value, an object's with their keys before them (`WiFi: free, Parking: street`)."""
    if not isinstance(value, dict):
        return one_text(value)
    said = [f"{_words(str(key))}: {told}" for key, held in value.items() if (told := _told(held))]
    return ", ".join(said) or None


def _told(value: Any) -> str | None:
    text = described(value) if isinstance(value, dict) else one_text(value)
    # Yelp writes values as Python does: u'free', 'no', {'street': True}.
    return re.sub(r"\bu?'([^']*)'", r"\1", text) if text else None


def _words(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).replace("_", " ")


def categories(value: Any, listed_by_comma: bool) -> list[str]:
    """Categories, broadest first, each once: of a list, of a path ("Home > Kitchen"), with bars or, if so listed, commas.

    A list of paths (lists in a list) is the path that comes first, then what others add.
    """
    found: dict[str, None] = {}
    for text in map(html.unescape, texts(value)):
        parts = [part for part in _PATH.split(text) if part]
        if len(parts) == 1 and listed_by_comma and isinstance(value, str):
            parts = [part for part in _COMMA.split(text) if part]
        found.update(dict.fromkeys(part for part in parts if part not in _NO_CATEGORY))
    return list(found)
