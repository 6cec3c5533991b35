"""How much each interaction of a history counts."""

import numpy as np


def recency_weights(count: int, half_life: float) -> np.ndarray:
    """Weights of a history's interactions, newest first, (count,), summing to one."""
    weights = 0.5 ** (np.arange(count) / half_life)
    normalised: np.ndarray = weights / weights.sum()
    return normalised
