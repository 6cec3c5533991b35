"""Read the fields of item metadata, which come as texts, numbers, lists, paths and objects, as plain texts and lists."""

import re
from collections.abc import Iterator
from typing import Any

from persona_pipeline.sources.markup import unescaped, without_tags
from persona_pipeline.sources.shapes import literal
from persona_pipeline.sources.values import NotScalar, characters

# Of texts whose white space is one blank each: runs of it would be tried from every place in them.
_PATH = re.compile(r" ?[>|] ?| / | ?; ?")
_COMMA = re.compile(r" ?, ?")
_NO_CATEGORY = frozenset({"(no genres listed)"})


_LONGEST = 10_000  # characters of a value that is written as Python does
_DEEPEST = 20
"""Lists and objects within one another; what lies deeper is no text of an item."""


def texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Texts that a value holds, in their order, whatever lists and objects they stand in."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list | tuple):
        for part in value:
            yield from texts(part, depth + 1)
    elif isinstance(value, dict):
        # Of an object that describes one thing (`{"name": "Home", "id": 4}`) its name is the text.
        named = value.get("name", value.get("title"))
        for part in [named] if named is not None else value.values():
            yield from texts(part, depth + 1)
    elif isinstance(value, bool):
        yield "true" if value else "false"
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


def described(value: Any, depth: int = 0) -> str | None:
    """A description: the texts of a value, an object's with their keys before them (`WiFi: free, Parking: street`)."""
    if not isinstance(value, dict):
        return one_text(value)
    if depth > _DEEPEST:
        return None
    said = [f"{_words(str(key))}: {told}" for key, held in value.items() if (told := _told(held, depth))]
    return ", ".join(said) or None


def _told(value: Any, depth: int) -> str | None:
    if isinstance(value, str):
        # Yelp writes values as Python does: u'free', 'no', {'street': True}.
        value = _literal(value)
    if isinstance(value, dict) and value and all(held is None or isinstance(held, bool) for held in value.values()):
        return ", ".join(_words(str(key)) for key, held in value.items() if held) or None
    return described(value, depth + 1) if isinstance(value, dict) else one_text(value)


def _literal(text: str) -> Any:
    begins, ends = text[:2].removeprefix("u")[:1], text[-1:]
    if (begins, ends) not in {("{", "}"), ("'", "'"), ("[", "]")} or len(text) > _LONGEST:
        return text
    try:
        return literal(text)
    except ValueError:
        return text


def _words(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).replace("_", " ")


def categories(value: Any, listed_by_comma: bool) -> list[str]:
    """Categories, broadest first, each once: of a list, of a path ("Home > Kitchen"), with bars or, if so listed, commas.

    A list of paths (lists in a list) is the path that comes first, then what others add.
    """
    found: dict[str, None] = {}
    for text in (" ".join(without_tags(unescaped(text)).split()) for text in texts(value)):
        parts = [part for part in _PATH.split(text) if part]
        if len(parts) == 1 and listed_by_comma and isinstance(value, str):
            parts = [part for part in _COMMA.split(text) if part]
        found.update(dict.fromkeys(part for part in parts if part not in _NO_CATEGORY))
    return list(found)
