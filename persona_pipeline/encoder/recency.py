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


def history_weights(distances: np.ndarray, lengths: np.ndarray, half_life: float) -> np.ndarray:
    """`proximity_weights` of many histories that lie one after the other.

    Args:
        distances: (n,) of their entries, in interactions or in days.
        lengths: (histories,) entries of each, n in all.
        half_life: in the unit of the distances.
    """
    owners = np.repeat(np.arange(len(lengths)), lengths)
    nearest = np.full(len(lengths), np.inf)
    np.minimum.at(nearest, owners, distances)
    weights = 0.5 ** ((distances - nearest[owners]) / half_life)
    normalised: np.ndarray = weights / np.bincount(owners, weights, minlength=len(lengths))[owners]
    return normalised


def ranks(lengths: np.ndarray) -> np.ndarray:
    """How many interactions of the same history came after each of n, (n,), of histories (h,), newest first."""
    found: np.ndarray = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return found


def distances_from(count: int, place: int) -> np.ndarray:
    """How many interactions lie between each of `count` others, newest first, and one that stood at `place` among them."""
    others = np.arange(count)
    distances: np.ndarray = np.where(others < place, place - others - 1, others - place)
    return distances


def popularity_scales(lengths: np.ndarray, support: float) -> np.ndarray:
    """1 + support / length of each history (n,): who has told little of themselves gets more of what everybody likes."""
    scales: np.ndarray = 1 + support / np.maximum(lengths, 1)
    return scales
