"""Walk ranked items and take those whose groups have room, for every user of a batch: a loop compiled by numba."""

import numpy as np

from persona_pipeline.score.topk._compiled import compiled


def _walk_loop(
    items: np.ndarray,
    users: np.ndarray,
    groups: np.ndarray,
    most: np.ndarray,
    lists: np.ndarray,
    taken: np.ndarray,
    places: np.ndarray,
) -> None:
    """Walk ranked items (n, asked), -1 for none, of `users` (n,), and take what fits.

    `lists` (users, k) and `taken` (users,) hold what was taken, and are added to; `places` (n, asked) says where in the list
    an item went.
    """
    for n in range(len(users)):
        user = users[n]
        for column in range(items.shape[1]):
            item, many = items[n, column], taken[user]
            if item < 0 or many == lists.shape[1]:
                break
            fits = True
            for cap in range(len(most)):
                group = groups[item, cap]
                if group >= 0:
                    held = 0
                    for place in range(many):
                        held += groups[lists[user, place], cap] == group
                    fits = fits and held < most[cap]
            if fits:
                lists[user, many] = item
                places[n, column] = many
                taken[user] += 1


walk = compiled(_walk_loop)
