"""Search texts for people by their ids and their own words, and redact texts that mention them.

Words are theirs where six in a row are the same, or a whole sentence of three to five, whatever stands between the words, and
nobody else who stays wrote them. Fewer are everybody's. An id counts as a whole word; one of letters and digits, six or more, also
as a part of a word (`top-A2IBPI20.json`); one that may as well be a number or a syllable (all digits, no letter, or under four
characters) only where the text says that it is somebody's id.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from persona_pipeline.extract.sentences import split_sentences

RUN = 6
"""Words in a row that are somebody's."""
_SHORTEST = 3
_WORDS = re.compile(r"[^\W_]+")
_TOKENS = re.compile(r"[\w-]+")
_WEAK = re.compile(r"\d*|.{1,3}|[^\w-]*")
_TELLING = re.compile(r"(?=.*\d)(?=.*[^\W\d])[^\W_]{6,}")
_FIELDS = 3
"""Fields that a line of input has at least: of fewer a text is no line, but a value, or a number with a comma."""
_SOMEBODYS = (
    r"(?i:user|reviewer|customer|person|review|subject)[\w\s]{{0,9}}[\"']?\s{{0,2}}[:= ]\s{{0,2}}[\"'(]?(?:{})(?![\w-])"
)
GONE = "[erased]"


@dataclass(frozen=True)
class Mentions:
    """What is searched for: `ids`, `runs` of RUN words, and shorter `sentences`; words casefolded, with one space between."""

    ids: frozenset[str]
    runs: frozenset[str] = frozenset()
    sentences: frozenset[str] = frozenset()
    lengths: frozenset[int] = field(default=frozenset(), init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lengths", frozenset(sentence.count(" ") + 1 for sentence in self.sentences))

    @classmethod
    def of(cls, ids: Collection[str], texts: Iterable[str]) -> "Mentions":
        """What stands for people with these ids who wrote these texts."""
        runs: set[str] = set()
        sentences: set[str] = set()
        for text in texts:
            runs.update(_in_a_row(_words(text), RUN))
            for sentence in split_sentences(text):
                words = _words(sentence.quote)
                if _SHORTEST <= len(words) < RUN:
                    sentences.add(" ".join(words))
        return cls(frozenset(ids), frozenset(runs), frozenset(sentences))

    def without(self, texts: Iterable[str]) -> "Mentions":
        """The same, less the words that others wrote too. Time is linear in the length of the texts."""
        runs, sentences = set(self.runs), set(self.sentences)
        for text in texts:
            words = _words(text)
            runs.difference_update(_in_a_row(words, RUN))
            for length in self.lengths:
                sentences.difference_update(_in_a_row(words, length))
        return Mentions(self.ids, frozenset(runs), frozenset(sentences))

    def quoted_in(self, text: str | None) -> bool:
        """Whether the text has words of theirs."""
        if not text or not (self.runs or self.sentences):
            return False
        words = _words(text)
        return not self.runs.isdisjoint(_in_a_row(words, RUN)) or any(
            not self.sentences.isdisjoint(_in_a_row(words, length)) for length in self.lengths
        )

    def named_in(self, text: str | None) -> bool:
        """Whether the text names an id."""
        return bool(text) and text is not None and next(self._spans(text), None) is not None

    def mentioned_in(self, text: str | None) -> bool:
        """Whether `redacted` would change the text."""
        return self.named_in(text) or self.quoted_in(text)

    def in_record(self, text: str | None) -> bool:
        """Whether a line of input as received is one of theirs, JSON or separated by commas, or has words of theirs."""
        if not text:
            return False
        fields = [part.strip().strip("\"'") for part in text.split(",")]
        by_field = len(fields) >= _FIELDS and not self._weak.isdisjoint(fields)
        return by_field or self.named_in(text) or self.quoted_in(text)

    def redacted(self, text: str | None) -> str | None:
        """The text without their ids, or nothing of it where it has words of theirs."""
        if not text:
            return text
        if self.quoted_in(text):
            return GONE
        told, at = "", 0
        for start, end in sorted(self._spans(text)):
            if start >= at:
                told += text[at:start] + GONE
            at = max(at, end)
        return told + text[at:]

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where ids stand, in any order; one id may lie within another."""
        for match in _TOKENS.finditer(text):
            token, start = match.group(), match.start()
            if token in self._plain:
                yield match.span()
            for odd, offset in self._odd.get(token, ()):
                if text.startswith(odd, start - offset):
                    yield start - offset, start - offset + len(odd)
            if self._telling and ("-" in token or "_" in token):
                parts = (part for part in _WORDS.finditer(token) if part.group() in self._telling)
                yield from ((start + part.start(), start + part.end()) for part in parts)
        if self._weak_pattern:
            for match in self._weak_pattern.finditer(text):
                yield match.span()

    @cached_property
    def _weak(self) -> frozenset[str]:
        return frozenset(one for one in self.ids if _WEAK.fullmatch(one))

    @cached_property
    def sure(self) -> frozenset[str]:
        """Ids that are somebody's wherever they stand."""
        return self.ids - self._weak

    @cached_property
    def _plain(self) -> frozenset[str]:
        return frozenset(one for one in self.sure if _TOKENS.fullmatch(one))

    @cached_property
    def _telling(self) -> frozenset[str]:
        """Ids that nothing else has as a part of its name."""
        return frozenset(one for one in self._plain if _TELLING.fullmatch(one))

    @cached_property
    def _odd(self) -> dict[str, list[tuple[str, int]]]:
        """Ids with characters that words lack, also as JSON writes them: by their longest word, with where it begins in them."""
        found: dict[str, list[tuple[str, int]]] = {}
        for one in self.sure - self._plain:
            for form in {one, json.dumps(one)[1:-1], json.dumps(json.dumps(one))[3:-3]}:
                longest = max(_TOKENS.finditer(form), key=lambda word: len(word.group()))
                found.setdefault(longest.group(), []).append((form, longest.start()))
        return found

    @cached_property
    def _weak_pattern(self) -> re.Pattern[str] | None:
        if not self._weak:
            return None
        return re.compile(
            _SOMEBODYS.format("|".join(re.escape(one) for one in sorted(self._weak, key=len, reverse=True)))
        )


def _words(text: str) -> list[str]:
    return _WORDS.findall(text.casefold())


def _in_a_row(words: list[str], length: int) -> Iterator[str]:
    return (" ".join(words[start : start + length]) for start in range(len(words) - length + 1))
