"""Slice evaluated users and their targets by training counts, after the paper's analysis of cold users and tail items.

Counts are of training interactions. The 20th percentile of n counts is the count at place floor((n - 1) / 5) of the
sorted counts, from 0; the 80th is the one as far from the other end. A count equal to a threshold is in its slice, so a
slice may hold far more than a fifth. (numpy's interpolated percentiles give the same slices: no count lies between.)

| slice | users | targets |
| --- | --- | --- |
| `all` | everybody | all |
| `cold` | count at or below the 20th percentile of the evaluated users' counts | all |
| `warm` | count at or above their 80th | all |
| `tail_p20` | who have such a target | items whose count is at or below the 20th percentile of the catalogue's |
| `head_p80` | who have such a target | items whose count is at or above its 80th |
| `tail_80` | who have such a target | the 80% least popular items |

`tail_80` sorts the catalogue by count, equals by index, and takes the first floor(0.8 x items). An item never seen in
training has count 0 and so belongs to the tails. A slice of targets judges a list by those targets alone. The published
code takes item percentiles over the target items only; here they are the catalogue's, so that a slice does not depend
on who was evaluated.
"""

from dataclasses import dataclass

import numpy as np

from persona_pipeline.evaluate.metrics import RelevantItems

ALL = "all"


@dataclass(frozen=True, slots=True)
class Slice:
    """A subset of users, evaluated on a subset of their targets.

    Attributes:
        users: (users,) bool: members; each has a target in the slice.
        targets: (n,) bool over `RelevantItems.items`: the targets that count.
    """

    users: np.ndarray
    targets: np.ndarray


def make_slices(truth: RelevantItems, user_counts: np.ndarray, item_counts: np.ndarray) -> dict[str, Slice]:
    """Build every slice by name, empty ones included.

    Args:
        truth: targets of the evaluated users.
        user_counts: (users,) training interactions of each.
        item_counts: (items,) training interactions of each item of the catalogue.
    """
    everything = np.ones(len(truth.items), dtype=bool)
    low_user, high_user = _percentiles(user_counts)
    low_item, high_item = _percentiles(item_counts)
    targeted = item_counts[truth.items]
    return {
        ALL: Slice(np.ones(truth.users, dtype=bool), everything),
        "cold": Slice(user_counts <= low_user, everything),
        "warm": Slice(user_counts >= high_user, everything),
        "tail_p20": _of_targets(truth, targeted <= low_item),
        "head_p80": _of_targets(truth, targeted >= high_item),
        "tail_80": _of_targets(truth, least_popular(item_counts)[truth.items]),
    }


def least_popular(item_counts: np.ndarray) -> np.ndarray:
    """(items,) bool: the 80% least popular items."""
    tail = np.zeros(len(item_counts), dtype=bool)
    tail[np.argsort(item_counts, kind="stable")[: len(item_counts) * 4 // 5]] = True
    return tail


def _percentiles(counts: np.ndarray) -> tuple[int, int]:
    """The 20th and the 80th percentile."""
    if not len(counts):
        return 0, 0
    ordered = np.sort(counts)
    place = (len(counts) - 1) // 5
    return int(ordered[place]), int(ordered[-1 - place])


def _of_targets(truth: RelevantItems, targets: np.ndarray) -> Slice:
    return Slice(np.bincount(truth.owners[targets], minlength=truth.users) > 0, targets)
