"""List the kinds of shares a score is made of (`user_item_topk.contributions`), and name each once for everything shown."""

from enum import StrEnum
from typing import NamedTuple


class _About(NamedTuple):
    label: str
    reason: str
    of_personas: bool


class ContributionKind(StrEnum):
    """What a share of a score is from."""

    INTERACTION = "interaction"
    OTHER_PERSONAS = "other_personas"
    POPULARITY = "popularity"
    PRIOR = "prior"
    CANDIDATES = "candidates"

    @classmethod
    def of(cls, stored: str) -> "ContributionKind | None":
        """The kind of a stored value; None where a later version wrote it."""
        return next((kind for kind in cls if kind.value == stored), None)

    @classmethod
    def label_of(cls, stored: str) -> str:
        """The label of a stored value; its own words where a later version wrote it."""
        kind = cls.of(stored)
        return kind.label if kind else stored.replace("_", " ")

    @property
    def label(self) -> str:
        """For people who look at a score's parts."""
        return _ABOUT[self].label

    @property
    def reason(self) -> str:
        """The sentence of an explanation that rests on this kind; "" where another kind says it (`reason_kind`)."""
        return _ABOUT[self].reason

    @property
    def of_personas(self) -> bool:
        """Whether the share is of personas; else it is the same whatever personas the item has."""
        return _ABOUT[self].of_personas

    @property
    def reason_kind(self) -> "ContributionKind":
        """The kind whose reason is given for this one: an item's other personas are met by the user's interactions."""
        return self if self.reason else ContributionKind.INTERACTION


_ABOUT = {
    ContributionKind.INTERACTION: _About("you reviewed", "It is close to what you have chosen before.", True),
    ContributionKind.OTHER_PERSONAS: _About("other kinds of buyers of this item", "", True),
    ContributionKind.POPULARITY: _About("liked by many people", "Many people choose it.", False),
    ContributionKind.PRIOR: _About(
        "met by others who met the same items", "People who chose what you chose also chose it.", False
    ),
    ContributionKind.CANDIDATES: _About(
        "proposed by another recommender", "Another recommender proposes it to you.", False
    ),
}
