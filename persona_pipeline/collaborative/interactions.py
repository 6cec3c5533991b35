"""Hold user-item interactions as arrays (`Interactions`), the input of every collaborative model, with time-decay weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array


@dataclass(frozen=True)
class Interactions:
    """Distinct user-item interactions, one row per user and item, ordered by user, each user's oldest first.

    `user_ids` (users,) and `item_ids` (items,) are sorted and name the rows and columns of every matrix here; ids
    without an interaction are allowed. `users`, `items` (n,) int64 are indices into them, `days` (n,) int64 day
    numbers; only their differences matter. `strengths` (n,) float64 say how much each interaction counts, 1 by default.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    users: np.ndarray
    items: np.ndarray
    days: np.ndarray
    strengths: np.ndarray

    @classmethod
    def build(
        cls,
        user_ids: Sequence[str] | np.ndarray,
        item_ids: Sequence[str] | np.ndarray,
        days: Sequence[int] | np.ndarray,
        catalogue: Sequence[str] | np.ndarray = (),
        strengths: Sequence[float] | np.ndarray | None = None,
    ) -> "Interactions":
        """Build from interactions in time order: the caller has decided which of two on one day came first.

        Repeated interactions of a user and item count once, at the newest time. `catalogue` names items that may be
        recommended whether or not they have interactions.

        Raises:
            ValueError: the columns differ in length, or a user's days go back.
        """
        stamps = np.asarray(days, dtype=np.int64)
        weights = np.ones(len(stamps)) if strengths is None else np.asarray(strengths, dtype=np.float64)
        if not len(user_ids) == len(item_ids) == len(stamps) == len(weights):
            lengths = (len(column) for column in (user_ids, item_ids, stamps, weights))
            raise ValueError(f"columns differ in length: {', '.join(map(str, lengths))}")
        known_users, users = np.unique(np.asarray(user_ids, dtype=np.str_), return_inverse=True)
        met = np.asarray(item_ids, dtype=np.str_)
        known_items = np.unique(np.concatenate([met, np.asarray(catalogue, dtype=np.str_)]))
        items = np.searchsorted(known_items, met)
        by_user = np.argsort(users, kind="stable")
        rows = by_user[_newest_of_pair(users[by_user] * len(known_items) + items[by_user])]
        columns = (users[rows].astype(np.int64), items[rows].astype(np.int64), stamps[rows], weights[rows])
        built = cls(known_users, known_items, *columns)
        if np.any((np.diff(built.days) < 0) & (np.diff(built.users) == 0)):
            raise ValueError("interactions are not in time order: the days of a user go back")
        return built

    def __len__(self) -> int:
        return len(self.users)

    def counts(self) -> np.ndarray:
        """Number of users of each item, (items,) int64."""
        return np.bincount(self.items, minlength=len(self.item_ids))

    def matrix(self, age_half_life_days: float | None = None) -> csr_array:
        """Interaction matrix (users, items): `age_weights` for an interaction; 0 elsewhere."""
        return self._table(self.age_weights(age_half_life_days))

    def age_weights(self, half_life_days: float | None) -> np.ndarray:
        """Weights strength x 0.5 ** (days before the newest interaction of all / half-life), (n,); strengths without one.

        Decay is by calendar age, the same for all users; `recency` is the rank within one history.
        """
        if half_life_days is None or not len(self):
            return self.strengths
        weights: np.ndarray = self.strengths * 0.5 ** ((self.days.max() - self.days) / half_life_days)
        return weights

    def recency(self) -> np.ndarray:
        """Rank of each interaction in its user's history, (n,) int64; 0 is the user's newest."""
        ends = np.cumsum(np.bincount(self.users, minlength=len(self.user_ids)))
        newest_first: np.ndarray = ends[self.users] - 1 - np.arange(len(self))
        return newest_first

    def histories(self, half_life: float | None) -> csr_array:
        """Weights of each user's items, (users, items): strength x 0.5 ** (rank / half_life), newest at rank 0.

        Rows are not normalised: a longer history weighs more in all. Scores are scaled by user afterwards.
        """
        return self._table(self.strengths * (1.0 if half_life is None else 0.5 ** (self.recency() / half_life)))

    def without(self, mask: np.ndarray) -> "Interactions":
        """Drop the interactions where `mask` (n,) is true; users and items stay."""
        keep = ~np.asarray(mask, dtype=bool)
        columns = {name: getattr(self, name)[keep] for name in ("users", "items", "days", "strengths")}
        return replace(self, **columns)

    def _table(self, weights: np.ndarray) -> csr_array:
        shape = (len(self.user_ids), len(self.item_ids))
        return csr_array((weights, (self.users, self.items)), shape=shape)


def _newest_of_pair(pairs: np.ndarray) -> np.ndarray:
    """Positions of each pair's last occurrence, ascending."""
    _, from_end = np.unique(pairs[::-1], return_index=True)
    return np.sort(len(pairs) - 1 - from_end)
