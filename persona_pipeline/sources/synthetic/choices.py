"""Simulate which items users choose: the one place where the true preference is defined.

A visitor is one of their latent personas (drawn from the mixture of the day). That persona takes an item it does not
know yet with probability proportional to popularity ** exponent times what the item does for it, or, on impulse, to
popularity alone within the categories it buys in. So the preference of a user is `mixture @ ChoiceModel.table(day)`,
and nothing else.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from persona_pipeline.core.errors import ConfigError
from persona_pipeline.sources.synthetic.config import SyntheticConfig
from persona_pipeline.sources.synthetic.people import People, Visits

_TRIES = 30


@dataclass(frozen=True, slots=True)
class ChoiceModel:
    """Choice probabilities of latent personas. `p` counts latent personas."""

    weights: npt.NDArray[np.float64]  # (items, p)
    eligible: npt.NDArray[np.bool_]  # (items, p) the persona buys in the item's category
    popularity: npt.NDArray[np.float64]  # (items,)
    launch_day: npt.NDArray[np.int64]  # (items,)
    popularity_exponent: float
    impulse_share: float

    def table(self, day: int) -> npt.NDArray[np.float64]:
        """(p, items): each persona's probability of choosing each item on `day`. Rows sum to 1; an item not launched has 0."""
        pull = np.where(self.launch_day <= day, self.popularity**self.popularity_exponent, 0.0)
        matched = _rows_to_one((self.weights * pull[:, None]).T)
        impulsive = _rows_to_one((self.eligible * pull[:, None]).T)
        table: npt.NDArray[np.float64] = (1 - self.impulse_share) * matched + self.impulse_share * impulsive
        return table


def _rows_to_one(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shares: npt.NDArray[np.float64] = values / values.sum(axis=1, keepdims=True)
    return shares


@dataclass(frozen=True, slots=True)
class Choices:
    """The chosen item and persona of each visit, (visits,) each."""

    item: npt.NDArray[np.int64]
    persona: npt.NDArray[np.int64]


def make_choices(config: SyntheticConfig, model: ChoiceModel, people: People, visits: Visits) -> Choices:
    """Simulate visits in each user's order of time: first visits of all users, then second ones, and so on.

    Exact sampling without replacement: a user who draws an item they have reviewed draws persona and item again.
    Raises ConfigError where a user runs out of items.
    """
    rng = np.random.default_rng([config.seed, 3])
    periods = np.unique(np.concatenate(([0], model.launch_day[model.launch_day < config.days])))
    tables = np.stack([model.table(int(day)) for day in periods])  # (periods, p, items)
    period = np.searchsorted(periods, visits.day, side="right") - 1
    n_periods, p, n_items = tables.shape
    # Rows laid end to end, row r rising from r to r + 1: one sorted array, so one search serves every row.
    rows = np.cumsum(tables.reshape(n_periods * p, n_items), axis=1)
    ladder = (rows / rows[:, -1:] + np.arange(n_periods * p)[:, None]).ravel()

    item = np.full(len(visits.user), -1)
    persona = np.full(len(visits.user), -1)
    by_nth = np.argsort(visits.nth, kind="stable")
    bounds = np.searchsorted(visits.nth[by_nth], np.arange(int(visits.nth.max()) + 2))
    seen = np.full((config.n_users, len(bounds) - 1), -1, dtype=np.int32)
    for nth in range(len(bounds) - 1):
        current = pending = by_nth[bounds[nth] : bounds[nth + 1]]
        for _ in range(_TRIES):
            users = visits.user[pending]
            drawn = _draw_rows(rng, people.mixture_on(users, visits.day[pending]))
            row = period[pending] * p + drawn
            found = np.clip(
                np.searchsorted(ladder, row + rng.random(len(row)), side="right") - row * n_items, 0, n_items - 1
            )
            known = (seen[users, :nth] == found[:, None]).any(axis=1)
            item[pending[~known]], persona[pending[~known]] = found[~known], drawn[~known]
            pending = pending[known]
            if not len(pending):
                break
        for visit in pending:  # somebody who knows nearly all they like
            day = visits.day[[visit]]
            mixture = people.mixture_on(visits.user[[visit]], day)[0]
            item[visit], persona[visit] = _draw_unseen(
                rng, mixture, tables[period[visit]], model, int(day[0]), seen[visits.user[visit], :nth]
            )
        seen[visits.user[current], nth] = item[current]
    return Choices(item=item, persona=persona)


def _draw_rows(rng: np.random.Generator, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """One column per row of (n, p) shares, never a column of share 0."""
    steps = np.cumsum(shares, axis=1)
    drawn: npt.NDArray[np.int64] = (steps <= (rng.random(len(shares)) * steps[:, -1])[:, None]).sum(axis=1)
    return drawn


def _draw_unseen(
    rng: np.random.Generator,
    mixture: npt.NDArray[np.float64],
    table: npt.NDArray[np.float64],
    model: ChoiceModel,
    day: int,
    seen: npt.NDArray[np.int32],
) -> tuple[int, int]:
    """Item and persona drawn from the joint distribution without the items seen.

    Where nothing liked is left, any unseen item of the personas' categories.
    """
    joint = mixture[:, None] * table  # (p, items)
    joint[:, seen] = 0
    if not joint.any():
        joint = mixture[:, None] * (model.eligible & (model.launch_day <= day)[:, None]).T
        joint[:, seen] = 0
    if not joint.any():
        raise ConfigError(
            "synthetic: somebody has reviewed all items they could; raise n_items or n_users, or lower n_reviews"
        )
    flat = int(rng.choice(joint.size, p=joint.ravel() / joint.sum()))
    return flat % table.shape[1], flat // table.shape[1]
