"""Write a review's title and text from item, persona, rating and kind, as a customer would.

A genuine review carries at least one sentence of its persona (who and why, where, or a reason) and otherwise generic
ones.
"""

from dataclasses import dataclass
from typing import Literal

from persona_pipeline.sources.synthetic.phrases import Draw, sentence
from persona_pipeline.sources.synthetic.vocabulary import Category, Cell, LatentPersona, Reason, Vocabulary

Kind = Literal["genuine", "off_topic", "contradictory"]

_LENGTHS = (0.12, 0.2, 0.23, 0.19, 0.13, 0.08, 0.05)  # share of reviews with 1, 2, ..., 7 sentences


@dataclass(frozen=True, slots=True)
class Subject:
    """The reviewed item and the persona that speaks; `strong` names the reasons of that persona the item satisfies."""

    category: Category
    persona: LatentPersona
    strong: tuple[bool, ...]  # one per reason
    rating: int


class Writer:
    """Writes reviews from a vocabulary with one stream of random numbers: same stream, same texts."""

    def __init__(self, vocabulary: Vocabulary, draw: Draw) -> None:
        self._vocabulary = vocabulary
        self._said = vocabulary.phrases
        self._draw = draw

    def title(self, subject: Subject, kind: Kind) -> str:
        """Write a title; empty now and then, as on real review sites."""
        roll = self._draw()
        if roll < 0.06:
            return ""
        if roll < 0.36 and kind == "genuine" and subject.rating >= 4:
            return subject.persona.headline.expand(self._draw)
        return self._vocabulary.titles[subject.rating].expand(self._draw, self._product(subject.category))

    def sentences(self, subject: Subject, kind: Kind) -> list[str]:
        """One to seven sentences; for `off_topic` up to three and none of the persona's."""
        if kind == "off_topic":
            return self._off_topic(subject)
        length = _pick_index(self._draw, _LENGTHS) + 1
        n_own = 1 if length == 1 else min(length, 1 + sum(self._draw() < 0.62 for _ in range(length - 1)))
        body = self._own(subject, n_own)
        for _ in range(length - len(body)):
            filler = self._filler(subject)
            body.insert(len(body) if self._draw() < 0.6 else int(self._draw() * len(body)), filler)
        return body

    def update(self, sentences: list[str]) -> list[str]:
        """Turn sentences into an addition to an earlier review."""
        lead = self._said["update"][0].expand(self._draw, {"time": self._vocabulary.time.expand(self._draw)})
        return [f"{lead}: {sentences[0]}", *sentences[1:]]

    def _own(self, subject: Subject, count: int) -> list[str]:
        """`count` sentences of the persona at most: introduction and use once each, the rest reasons."""
        cell = subject.persona.cells[subject.category.category_id]
        draw = self._draw
        if count == 1:
            with_intro, with_use = (True, False) if (roll := draw()) < 0.15 else (False, roll < 0.35)
        else:
            with_intro, with_use = draw() < 0.68, draw() < 0.55
        if subject.rating <= 2 and with_intro + with_use >= count:  # a bad review says what is bad
            with_intro, with_use = count > 1, False
        opening: list[str] = []
        if with_intro:
            opening.append(self._say("intro", subject, cell))
        use = self._say("use", subject, cell) if with_use and len(opening) < count else None
        reasons = self._reasons(subject, cell, count - len(opening) - (use is not None), bool(opening))
        if use is not None:
            reasons.insert(0 if draw() < 0.6 else len(reasons), use)
        return opening + reasons

    def _reasons(self, subject: Subject, cell: Cell, count: int, follows: bool) -> list[str]:
        """Praise names what the item is strong at, criticism the rest; each reason is used once."""
        strong = self._shuffled([index for index, is_strong in enumerate(subject.strong) if is_strong])
        weak = self._shuffled([index for index, is_strong in enumerate(subject.strong) if not is_strong])
        count = min(count, len(cell.reasons))
        n_bad = self._n_complaints(subject.rating, count)
        good, bad = strong + weak, weak + strong
        spoken: list[str] = []
        used: set[int] = set()
        for position in range(count):
            complains = position >= count - n_bad
            reason_index = next(index for index in (bad if complains else good) if index not in used)
            used.add(reason_index)
            reason = cell.reasons[reason_index]
            kind = ("mild" if subject.rating >= 4 else "bad") if complains else "good"
            if kind != "mild" and (follows or position) and self._draw() < 0.25:
                kind += "_next"
            spoken.append(self._say(kind, subject, cell, reason))
        return spoken

    def _n_complaints(self, rating: int, count: int) -> int:
        if rating == 5 or count == 0:
            return 0
        if rating == 4:
            return int(count >= 2 and self._draw() < 0.4)
        if rating == 3:
            return count // 2 + int(count % 2 == 1 and self._draw() < 0.5)
        return count - int(rating == 2 and count >= 3)

    def _filler(self, subject: Subject) -> str:
        roll = self._draw()
        if roll < 0.3:
            kind = "aside_good" if self._draw() < (0.75 if subject.rating >= 3 else 0.35) else "aside_bad"
        elif roll < 0.36:
            kind = "off_topic"
        elif roll < 0.44 and subject.rating >= 4:
            kind = "closing"
        else:
            kind = "praise" if subject.rating >= 4 else "neutral" if subject.rating == 3 else "criticism"
        return self._say(kind, subject)

    def _off_topic(self, subject: Subject) -> list[str]:
        spoken = [self._filler(subject) for _ in range(1 + int(self._draw() * 3))]
        return list(dict.fromkeys(spoken))

    def _say(self, kind: str, subject: Subject, cell: Cell | None = None, reason: Reason | None = None) -> str:
        lines = self._said[kind]
        line = lines[int(self._draw() * len(lines))]
        if not line.slots:
            return sentence(line.expand(self._draw))
        slots = self._product(subject.category)
        sources = {"who": subject.persona.who, "time": self._vocabulary.time}
        if cell is not None:
            sources |= {"goal": cell.goal, "use": cell.use}
        if reason is not None:
            sources |= {"good": reason.good, "bad": reason.bad}
        for slot, phrase in sources.items():
            if slot in line.slots:
                slots[slot] = phrase.expand(self._draw)
        return sentence(line.expand(self._draw, slots))

    def _product(self, category: Category) -> dict[str, str]:
        return {**category.words, "thing": category.thing.expand(self._draw), "part": category.part.expand(self._draw)}

    def _shuffled(self, indices: list[int]) -> list[int]:
        return sorted(indices, key=lambda _: self._draw())


def _pick_index(draw: Draw, shares: tuple[float, ...]) -> int:
    roll, total = draw(), 0.0
    for index, share in enumerate(shares):
        total += share
        if roll < total:
            return index
    return len(shares) - 1
