"""Keep lists to a few items of each creator or category: walk items from the best on, and skip one whose group is full.

A ranking gives some items more than the list needs. Where the walk ends before the list is full, the next ranking leaves out
what was taken and the groups that are full, of which nothing can be taken any more; what it finds is worse than all that
was walked, so the walk goes on with it as if the ranking had never ended. Every further ranking fills the list, runs out
of items, or fills another group.
"""

from collections.abc import Callable
from dataclasses import fields

import numpy as np

from persona_pipeline.core.arrays import read_only
from persona_pipeline.score.item_groups import ItemGroups
from persona_pipeline.score.item_index import TopItems
from persona_pipeline.score.topk._request import nothing_found
from persona_pipeline.score.topk.walk import walk

Ranking = Callable[[np.ndarray, list[np.ndarray], list[np.ndarray], int], TopItems]
"""Ranks users (n,), given what each has to leave out, items and groups, and how many items are wanted."""

ASKED = 4  # times k: items a ranking gives, of which groups that are full take some; more are hardly slower


def top_under_caps(
    rank: Ranking, groups: ItemGroups, seen: list[np.ndarray], closed: list[np.ndarray], k: int
) -> TopItems:
    """Find the best k items of each user of which no group holds more than its cap, taken in the order of their scores.

    `seen` and `closed` are the items and groups that each user leaves out anyway.
    """
    found = nothing_found(len(seen), k)
    taken = np.zeros(len(seen), np.int64)
    capped, most = read_only(groups.capped), read_only(groups.most)
    seen, closed, users = list(seen), list(closed), np.arange(len(seen))
    while len(users):
        more = rank(users, [seen[user] for user in users], [closed[user] for user in users], ASKED * k)
        places = np.full(more.items.shape, -1)
        walk(more.items, users, capped, most, found.items, taken, places)
        row, column = np.nonzero(places >= 0)
        for field in fields(TopItems):
            getattr(found, field.name)[users[row], places[row, column]] = getattr(more, field.name)[row, column]
        users = users[(taken[users] < k) & (more.items[:, -1] >= 0)]
        for user in users:
            mine = found.items[user, : taken[user]]
            seen[user] = np.concatenate([seen[user], mine])
            closed[user] = np.concatenate([closed[user], full(groups, mine)])
    return found


def first_under_caps(groups: ItemGroups, k: int) -> np.ndarray:
    """Walk all items in their order, and take the first k that fit, (n,) indices."""
    items = np.arange(len(groups.capped))[None]
    found, taken = np.full((1, k), -1), np.zeros(1, np.int64)
    walk(
        items,
        np.zeros(1, np.int64),
        read_only(groups.capped),
        read_only(groups.most),
        found,
        taken,
        np.full(items.shape, -1),
    )
    return np.asarray(found[0, : taken[0]])


def full(groups: ItemGroups, items: np.ndarray) -> np.ndarray:
    """Select the groups (n,) of which a list of these items holds as many as it may."""
    found = [np.empty(0, np.int64)]
    for mine, most in zip(groups.capped[items].T, groups.most, strict=True):
        codes, counts = np.unique(mine[mine >= 0], return_counts=True)
        found.append(codes[counts >= most])
    return np.concatenate(found)
