"""How much each interaction of a history counts, and how much its length."""

import numpy as np


def recency_weights(count: int, half_life: float) -> np.ndarray:
    """Weights of a history's interactions, newest first, (count,), summing to one."""
    return proximity_weights(np.arange(count), half_life)


def proximity_weights(distances: np.ndarray, half_life: float) -> np.ndarray:
    """Weights 0.5 ** (distance / half_life), (n,), summing to one; 0 is the interaction next to what is foretold.

    Serving foretells what comes after the newest interaction, so there it is recency; training foretells one in the
    middle from those on either side.
    """
    # From the nearest on, or a short half-life would leave a history far away with no weight at all.
    weights = 0.5 ** ((distances - distances.min(initial=distances.max(initial=0))) / half_life)
    normalised: np.ndarray = weights / weights.sum()
    return normalised


def distances_from(count: int, place: int) -> np.ndarray:
    """How many interactions lie between each of `count` others, newest first, and one that stood at `place` among them."""
    others = np.arange(count)
    distances: np.ndarray = np.where(others < place, place - others - 1, others - place)
    return distances


def popularity_scales(lengths: np.ndarray, support: float) -> np.ndarray:
    """1 + support / length of each history (n,): who has told little of themselves gets more of what everybody likes."""
    scales: np.ndarray = 1 + support / np.maximum(lengths, 1)
    return scales
