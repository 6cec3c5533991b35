"""Training pairs as arrays of row numbers; numpy alone, so that a machine that only trains needs no table engine."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Ragged:
    """Lists of numbers, one after the other.

    Attributes:
        values: (total,)
        starts: (rows + 1,) where each row begins, and the end.
    """

    values: np.ndarray
    starts: np.ndarray

    @classmethod
    def of_lengths(cls, values: np.ndarray, lengths: np.ndarray) -> "Ragged":
        """From the rows' values in order and how many each has."""
        return cls(values, np.concatenate([[0], np.cumsum(lengths)]))

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where in `values` the rows' members are, one row after the other, and how many each has, (rows,)."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        before = np.cumsum(lengths) - lengths
        return np.arange(lengths.sum()) + np.repeat(self.starts[rows] - before, lengths), lengths


@dataclass(frozen=True, slots=True)
class Examples:
    """Everything a fine-tune learns from.

    Attributes:
        texts: distinct texts, of evidence and of personas.
        evidence: texts whose mean is the profile of each item, by item; one at least.
        histories: item of each of the user's other liked interactions, newest first, by pair.
        weights: (total,) weight of each member of `histories`, those of a pair summing to one.
        users: (n,) user of each pair as a number.
        places: (users,) `place_of` each user.
        targets: (n,) the liked item.
        labels: (n,) persona the user is taken to be.
        visible: (n, slots) personas of the target the pair may see.
        own: (n,) the text the pair's user wrote of the target, -1 where it is no evidence.
        persona_texts: (p,) text of each persona.
        persona_vectors: (p, d) unit vectors by the untrained base, to tell near-duplicates.
        slots: (items, slots) personas of each item, 0 where there is none.
        filled: (items, slots) whether the slot holds a persona.
        known: items each user is known to like, by user, targets among them.
        persona_weight: of a persona's own text beside the profile of its item.
        aggregation: how an item's personas combine, `softmax` or `max`.
    """

    texts: list[str]
    evidence: Ragged
    histories: Ragged
    weights: np.ndarray
    users: np.ndarray
    places: np.ndarray
    targets: np.ndarray
    labels: np.ndarray
    visible: np.ndarray
    own: np.ndarray
    persona_texts: np.ndarray
    persona_vectors: np.ndarray
    slots: np.ndarray
    filled: np.ndarray
    known: Ragged
    persona_weight: float
    aggregation: str

    def __len__(self) -> int:
        return len(self.targets)


def item_slots(persona_items: np.ndarray, items: int) -> tuple[np.ndarray, np.ndarray]:
    """Personas by item as `slots` and `filled`, from each persona's item, ascending, (p,)."""
    counts = np.bincount(persona_items, minlength=items)
    filled = np.arange(counts.max(initial=1)) < counts[:, None]
    first = np.cumsum(counts) - counts
    return np.where(filled, first[:, None] + np.arange(filled.shape[1]), 0), filled


def place_of(user_ids: Iterable[str]) -> np.ndarray:
    """A number in [0, 1) for each user, the same every night, so that a held-out user was held out before, (users,)."""
    return np.array([int(hashlib.sha256(user.encode()).hexdigest()[:13], 16) / 16**13 for user in user_ids])


def split(examples: Examples, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs to train on and pairs held out, as rows: those of users whose place is below `share`."""
    mask = examples.places[examples.users] < share
    return np.flatnonzero(~mask), np.flatnonzero(mask)
