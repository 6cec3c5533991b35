"""Generate users: their mixtures of latent personas, when these drift, and the times of their reviews."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from persona_pipeline.sources.synthetic.config import MIN_REVIEWS, SyntheticConfig
from persona_pipeline.sources.synthetic.shop import rounded_shares

NO_DRIFT = -1
_HELD = np.array([0.35, 0.4, 0.25])  # a user holds 1, 2 or 3 personas
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class People:
    """One row per user in every array. `p` counts latent personas."""

    user_ids: tuple[str, ...]
    mixture: npt.NDArray[np.float64]  # (users, p) rows sum to 1
    drift_day: npt.NDArray[np.int64]  # (users,) first day of the later mixture, or NO_DRIFT
    later_mixture: npt.NDArray[np.float64]  # (users, p) equal to `mixture` without drift
    cold: npt.NDArray[np.bool_]  # (users,)
    leniency: npt.NDArray[np.float64]  # (users,) added to every rating the user gives

    def mixture_on(self, users: npt.NDArray[np.int64], days: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Mixtures of `users` on `days`, (n,) each, as (n, p)."""
        later = (self.drift_day[users] != NO_DRIFT) & (days >= self.drift_day[users])
        mixtures: npt.NDArray[np.float64] = np.where(later[:, None], self.later_mixture[users], self.mixture[users])
        return mixtures


@dataclass(frozen=True, slots=True)
class Visits:
    """Times at which users choose items, (visits,) each, ordered by user, then time, which strictly increases."""

    user: npt.NDArray[np.int64]
    timestamp: npt.NDArray[np.int64]  # epoch seconds
    day: npt.NDArray[np.int64]  # since the start
    nth: npt.NDArray[np.int64]  # 0 for a user's first visit


def make_people(config: SyntheticConfig) -> tuple[People, Visits]:
    """Generate users and the times of their reviews; `choices` adds the items."""
    rng = np.random.default_rng([config.seed, 2])
    n, p = config.n_users, config.n_latent_personas
    cold = np.zeros(n, dtype=bool)
    cold[rng.permutation(n)[: config.n_cold_users]] = True
    first_day = rng.integers(0, int(0.8 * config.days), n)
    visits = _visits(rng, config, _review_counts(rng, config, cold), first_day)
    prevalence = rng.dirichlet(np.full(p, 5.0))
    mixture = _mixtures(rng, prevalence, n, forbidden=None)
    drifts = ~cold & (rng.random(n) < config.drift_share)
    # The change falls between a quarter and three quarters of the time left to the user, so that it shows in the reviews.
    left = config.days - first_day
    drift_day = np.where(drifts, first_day + (left * rng.uniform(0.25, 0.75, n)).astype(np.int64), NO_DRIFT)
    other = _mixtures(rng, prevalence, n, forbidden=mixture.argmax(axis=1))
    people = People(
        user_ids=tuple(f"U{i + 1:06d}" for i in range(n)),
        mixture=mixture,
        drift_day=drift_day,
        later_mixture=np.where(drifts[:, None], other, mixture),
        cold=cold,
        leniency=rng.normal(0, 0.35, n),
    )
    return people, visits


def _mixtures(
    rng: np.random.Generator, prevalence: npt.NDArray[np.float64], n: int, forbidden: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.float64]:
    """(n, p) with 1 to 3 positive entries a row, drawn by prevalence; `forbidden` (n,) names one persona a row must not hold."""
    p = len(prevalence)
    keys = np.log(prevalence) + rng.gumbel(size=(n, p))
    available = p
    if forbidden is not None:
        keys[np.arange(n), forbidden] = -np.inf
        available -= 1
    most = min(3, available)
    held = np.argpartition(-keys, most - 1, axis=1)[:, :most]
    held = np.take_along_axis(held, np.argsort(-np.take_along_axis(keys, held, axis=1), axis=1), axis=1)
    n_held = np.minimum(rng.choice(np.arange(1, 4), size=n, p=_HELD), most)
    amounts = rng.gamma(1.5, size=(n, most)) + 0.1
    amounts[np.arange(most) >= n_held[:, None]] = 0
    mixtures = np.zeros((n, p))
    np.put_along_axis(mixtures, held, amounts, axis=1)
    return rounded_shares(mixtures)


def _review_counts(
    rng: np.random.Generator, config: SyntheticConfig, cold: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """(users,) summing to the reviews that are no repeats: 1 or 2 for the cold, a long tail from MIN_REVIEWS up for the rest."""
    counts = np.where(cold, rng.integers(1, 3, config.n_users), MIN_REVIEWS)
    total = config.n_reviews - config.n_repeats
    for user in np.flatnonzero(cold):  # the configuration promised only one review each
        if counts.sum() <= total:
            break
        counts[user] = 1
    activity = np.where(cold, 0.0, rng.lognormal(0, 0.9, config.n_users))
    while (left := int(total - counts.sum())) > 0:
        activity[counts >= config.max_reviews_per_user] = 0
        counts += rng.multinomial(left, activity / activity.sum())
        np.minimum(counts, np.where(cold, 2, config.max_reviews_per_user), out=counts)
    return counts


def _visits(
    rng: np.random.Generator, config: SyntheticConfig, counts: npt.NDArray[np.int64], first_day: npt.NDArray[np.int64]
) -> Visits:
    user = np.repeat(np.arange(config.n_users), counts)
    day = first_day[user] + (rng.random(len(user)) * (config.days - first_day[user])).astype(np.int64)
    # Most reviews are written in the evening. The last minutes of a day stay free for moving ties apart.
    second = np.clip(rng.normal(18.5, 4.0, len(user)) * 3_600, 0, _DAY - 600).astype(np.int64)
    timestamp = config.start_timestamp + day * _DAY + second
    order = np.lexsort((timestamp, user))
    timestamp = timestamp[order]  # `user` is sorted already
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    nth = np.arange(len(user)) - np.repeat(starts, counts)
    while (tied := (nth > 0) & (np.diff(timestamp, prepend=-1) <= 0)).any():
        timestamp[tied] = timestamp[np.flatnonzero(tied) - 1] + 1
    return Visits(user=user, timestamp=timestamp, day=(timestamp - config.start_timestamp) // _DAY, nth=nth)
