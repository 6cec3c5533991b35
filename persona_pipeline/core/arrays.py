"""Small array helpers that several rooms need."""

import numpy as np


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Offsets (n + 1,) int64 of ragged rows of these lengths (n,), from 0 to their sum."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
