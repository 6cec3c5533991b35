"""Expand lines of the vocabulary such as `the (battery|charge) lasts {time}` into many sentences.

The notation: `(a|b|)` is one of the alternatives (an empty one allowed), `{slot}` a value given at expansion.
Alternatives may hold slots, not further alternatives. Lines are compiled once, because a world of a million reviews
expands ten million of them.
"""

import re
from collections.abc import Callable, Mapping

from persona_pipeline.core.errors import ConfigError

Draw = Callable[[], float]
"""A stream of uniform numbers in [0, 1), such as `random.Random(seed).random`."""

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")


class Phrase:
    """One compiled line. `slots` names the values an expansion needs."""

    __slots__ = ("parts", "slots", "source")

    def __init__(self, source: str) -> None:
        """Raises ConfigError where alternatives are nested or a bracket is left open."""
        self.source = source
        pieces = _CHOICE.split(source)  # literal, alternatives, literal, alternatives, ..., literal
        if any("(" in piece or ")" in piece or "|" in piece for piece in pieces[0::2]):
            raise ConfigError(f"synthetic vocabulary: brackets do not match, or alternatives are nested, in {source!r}")
        self.parts: tuple[str | tuple[str, ...], ...] = tuple(
            piece if i % 2 == 0 else tuple(piece.split("|")) for i, piece in enumerate(pieces) if piece
        )
        self.slots = frozenset(_SLOT.findall(source))

    def expand(self, draw: Draw, slots: Mapping[str, str] | None = None) -> str:
        """One variant. Consumes one number per alternative. Raises KeyError for a slot without a value."""
        text = "".join(
            [
                part if isinstance(part, str) else part[int(draw() * len(part))] for part in self.parts
            ]  # a list joins faster
        )
        return _SLOT.sub(lambda match: (slots or {})[match.group(1)], text) if self.slots else text

    @property
    def variants(self) -> int:
        """How many expansions there are, slots left aside."""
        count = 1
        for part in self.parts:
            count *= 1 if isinstance(part, str) else len(part)
        return count


def sentence(text: str) -> str:
    """Capital letter in front, full stop behind unless it ends in a mark of its own."""
    text = text.strip()
    if not text:
        return text
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")
