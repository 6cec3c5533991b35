"""Estimate confidence intervals of means over users: bootstrap, paired comparison of two models, Holm's correction.

Users are resampled, since a list's places are not independent of each other (Efron and Tibshirani 1993, chapters 13
and 16). All values of one call share their draws, so that the intervals of many models cost one matrix product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2_000
LEVEL = 0.95

_BLOCK = 1 << 22  # cells of (draws, users) held at once: 32 MiB


@dataclass(frozen=True, slots=True)
class Estimate:
    """Means of per-user values; each field has the shape of one user's values.

    Attributes:
        value: mean over users.
        low, high: ends of the 95% percentile interval.
        p_value: two-sided, of the mean being 0; meaningful where the values are differences.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray


def estimate(values: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Estimate means over users of values (users, ...), with their intervals. Raises ValueError without users.

    The p value is the smallest level at which the percentile interval leaves 0 out: twice the smaller share of draws at
    or beyond 0 on either side, counting the observed sample as one more draw (Davison and Hinkley 1997, section 4.4).
    """
    if not len(values):
        raise ValueError("there is no mean of no users")
    means = bootstrap_means(values.reshape(len(values), -1), draws, seed).reshape(draws, *values.shape[1:])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    rounded = np.round(means, 12)  # sums that cancel leave 1e-17, which is 0
    sides = [(1 + side.sum(axis=0)) / (1 + draws) for side in (rounded <= 0, rounded >= 0)]
    return Estimate(values.mean(axis=0), low, high, np.minimum(1.0, 2 * np.minimum(*sides)))


def compare(candidate: np.ndarray, reference: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Compare two models, paired by user: the mean of candidate - reference, (users, ...) each, users in the same order."""
    if candidate.shape != reference.shape:
        raise ValueError(f"{len(candidate)} and {len(reference)} users cannot be paired")
    return estimate(candidate - reference, draws, seed)


def bootstrap_means(values: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Draw (draws, columns) bootstrap means over users, with the same draws for every column.

    Memory: 64 MiB and the result, however many users.
    """
    users = len(values)
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // users)
    means = np.empty((draws, values.shape[1]))
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        drawn = rng.integers(users, size=(rows, users))
        drawn += np.arange(rows)[:, None] * users
        times = np.bincount(drawn.ravel(), minlength=rows * users).reshape(rows, users)
        means[start : start + rows] = times.astype(np.float64) @ values / users
    return means


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust p values by Holm, in the order given: rejecting those <= .05 errs at all in at most 5% of cases (Holm 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return adjusted
