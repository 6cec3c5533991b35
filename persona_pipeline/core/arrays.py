"""Small array helpers that several rooms need."""

import numpy as np


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Offsets (n + 1,) int64 of ragged rows of these lengths (n,), from 0 to their sum."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def padded_slots(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ragged groups (n,), one group after the other, as `slots` and `filled`, (n, widest) each.

    `slots` is 0 where `filled` is not. At least one slot wide.
    """
    filled = np.arange(int(counts.max(initial=1))) < counts[:, None]
    first = np.cumsum(counts) - counts
    return np.where(filled, first[:, None] + np.arange(filled.shape[1]), 0), filled


def read_only(array: np.ndarray) -> np.ndarray:
    """View an array as read-only, as broadcast arrays are: numba compiles a function for each kind, and one is enough."""
    view = array.view()
    view.flags.writeable = False
    return view
