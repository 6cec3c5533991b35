"""Hold a fine-tune's training pairs as arrays of row numbers, in numpy alone: a training machine needs no table engine."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from persona_pipeline.core.arrays import offsets_of, padded_slots


@dataclass(frozen=True, slots=True)
class Ragged:
    """Lists of numbers, concatenated (CSR layout).

    Attributes:
        values: (total,)
        starts: (rows + 1,) start of each row, and the end.
    """

    values: np.ndarray
    starts: np.ndarray

    @classmethod
    def of_lengths(cls, values: np.ndarray, lengths: np.ndarray) -> "Ragged":
        """Build from the rows' values in order and the length of each row."""
        return cls(values, offsets_of(lengths))

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions in `values` of the rows' entries, concatenated, and the length of each row, (rows,)."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        before = np.cumsum(lengths) - lengths
        return np.arange(lengths.sum()) + np.repeat(self.starts[rows] - before, lengths), lengths


@dataclass(frozen=True, slots=True)
class Examples:
    """Training data of a fine-tune.

    Attributes:
        texts: distinct texts, of evidence and of personas.
        evidence: texts whose mean is the embedding of each item, by item; at least one.
        histories: item of each of the user's other liked interactions, newest first, by pair.
        weights: (total,) weight of each entry of `histories`, those of a pair summing to one.
        users: (n,) user of each pair as a number.
        places: (users,) `place_of` each user.
        targets: (n,) the liked item.
        labels: (n,) labelled persona of the target.
        visible: (n, slots) personas of the target that are not masked for the pair.
        own: (n,) the user's review text of the target, -1 where it is no evidence.
        persona_texts: (p,) text of each persona.
        persona_vectors: (p, d) unit vectors by the untrained base, to find near-duplicates.
        slots: (items, slots) personas of each item, 0 for padding.
        filled: (items, slots) whether the slot holds a persona.
        known: items each user is known to like, by user, targets among them.
        persona_weight: weight of a persona's own text beside the embedding of its item.
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
    """Arrange personas by item as `slots` and `filled`, from each persona's item, ascending, (p,)."""
    return padded_slots(np.bincount(persona_items, minlength=items))


def place_of(user_ids: Iterable[str]) -> np.ndarray:
    """Hash users to [0, 1), (users,), the same in every run, so that held-out users stay held out."""
    return np.array([int(hashlib.sha256(user.encode()).hexdigest()[:13], 16) / 16**13 for user in user_ids])


def split(examples: Examples, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Split pairs into training and hold-out rows: held out are users whose place is below `share`."""
    mask = examples.places[examples.users] < share
    return np.flatnonzero(~mask), np.flatnonzero(mask)
