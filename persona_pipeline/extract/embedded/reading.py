"""One item as read: its remarks, and what they say of the item as a whole, each counted once."""

import functools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.vocabulary import Vocabulary
from persona_pipeline.extract.embedded.words import Background, base_form, pointed_at, tokens


def reviewers(remarks: Iterable[Remark]) -> int:
    """Distinct people behind remarks."""
    return len({remark.review.user_id for remark in remarks})


@dataclass(frozen=True, eq=False)
class Reading:
    """An item's remarks, with the vocabulary and the background they are read with."""

    item_id: str
    title: str
    remarks: Sequence[Remark]
    vocabulary: Vocabulary
    background: Background

    def mentions(self, remarks: Iterable[Remark]) -> Counter[str]:
        """Things (base forms) by the number of people who mention them."""
        return Counter(thing for _, thing in {(r.review.user_id, t) for r in remarks for t in self._things[id(r)]})

    def mentioning(self, thing: str, remarks: Iterable[Remark]) -> list[Remark]:
        """The remarks that mention a thing."""
        return [remark for remark in remarks if thing in self._things[id(remark)]]

    @functools.cached_property
    def mentioned(self) -> Counter[str]:
        """`mentions` of all remarks."""
        return self.mentions(self.remarks)

    @functools.cached_property
    def pointed_at(self) -> Counter[str]:
        """What follows "this" and "these" (base forms), by the number of people: most often the item itself."""
        return Counter(noun for _, noun in {(r.review.user_id, n) for r in self.remarks for n in pointed_at(r.words)})

    @functools.cached_property
    def reviewers(self) -> int:
        """Distinct people behind all remarks."""
        return reviewers(self.remarks)

    @functools.cached_property
    def title_words(self) -> frozenset[str]:
        """Base forms of the title's words."""
        return frozenset(base_form(word) for word in tokens(self.title))

    @functools.cached_property
    def people(self) -> tuple[str, re.Pattern[str]] | None:
        """Whose item it is ("guitarists", and the cue that tells), if a third of its reviewers give it away."""
        counts = [reviewers(r for r in self.remarks if cue.search(r.quote)) for _, cue in self.vocabulary.people]
        most = max(counts)
        return self.vocabulary.people[counts.index(most)] if most * 3 >= max(self.reviewers, 1) else None

    @functools.cached_property
    def _things(self) -> dict[int, frozenset[str]]:
        return {id(remark): self.background.things(remark.words) for remark in self.remarks}
