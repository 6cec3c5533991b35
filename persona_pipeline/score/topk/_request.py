"""Hold the input of the top-k kernel (`TopKRequest`) and preallocate its output arrays."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from scipy.sparse import csr_array

from persona_pipeline.score.item_index import ItemIndex, TopItems


@dataclass(frozen=True, slots=True)
class TopKRequest:
    """Arguments of `top_items` for all or some of its users, with defaults resolved; only `candidates` may hold None."""

    item_index: ItemIndex
    users: np.ndarray
    seen: list[np.ndarray]
    k: int
    prior: csr_array
    scales: np.ndarray
    candidates: list[np.ndarray | None]
    groups: csr_array
    closed: list[np.ndarray]

    def of(self, chosen: np.ndarray) -> "TopKRequest":
        """Restrict the request to some of the users, by their indices."""
        return TopKRequest(
            self.item_index,
            self.users[chosen],
            [self.seen[n] for n in chosen],
            self.k,
            self.prior[chosen],
            self.scales[chosen],
            [self.candidates[n] for n in chosen],
            self.groups,
            [self.closed[n] for n in chosen],
        )

    def left_out(self) -> list[np.ndarray]:
        """List for each user the indices of the items to leave out: seen, or of a closed group; some may be there twice."""
        if not any(len(groups) for groups in self.closed):
            return self.seen
        by_group = self.groups.tocsc()
        ends, members = by_group.indptr, by_group.indices
        return [
            np.concatenate([seen, *(members[ends[group] : ends[group + 1]] for group in groups)])
            for seen, groups in zip(self.seen, self.closed, strict=True)
        ]

    def largest_prior(self) -> np.ndarray:
        """Return (users,) the largest absolute entry of each user's prior."""
        if not self.prior.nnz:
            return np.zeros(len(self.users))
        largest: np.ndarray = abs(self.prior).max(axis=1).toarray().ravel()
        return largest


def nothing_found(users: int, k: int) -> TopItems:
    """Allocate empty `TopItems`, (users, k)."""
    size = (users, k)
    return TopItems(
        np.full(size, -1), np.zeros(size, int), np.zeros(size), np.zeros(size), np.zeros(size), np.full(size, -np.inf)
    )


def part_of(found: TopItems, low: int, high: int) -> TopItems:
    """View the results of users `low` to `high`, in the same memory."""
    return TopItems(*(getattr(found, field.name)[low:high] for field in fields(TopItems)))


def put(found: TopItems, chosen: np.ndarray, part: TopItems) -> None:
    """Write the results of the chosen users into the results of all users."""
    for field in fields(TopItems):
        getattr(found, field.name)[chosen] = getattr(part, field.name)


def spans(costs: np.ndarray, budget: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield consecutive spans of at most `most` entries within the cost budget; a span has at least one entry."""
    ends = np.cumsum(costs)
    start = 0
    while start < len(costs):
        spent = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, spent + budget, side="right"))
        stop = min(max(stop, start + 1), start + most)
        yield start, stop
        start = stop
