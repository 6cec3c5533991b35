"""Compile the kernel's numba loops into the user's cache: `python -m persona_pipeline.score.topk.compile`.

Without it the first ranking task takes some 20 seconds longer.
"""

import numpy as np
from scipy.sparse import csr_array

from persona_pipeline.core.arrays import read_only
from persona_pipeline.score.topk.kernel import ItemIndex, top_items
from persona_pipeline.score.topk.walk import walk


def main() -> None:
    """Rank a small example with the argument types of a task."""
    items = np.array(["A", "B", "B"])
    item_index = ItemIndex.build(items, np.eye(3, dtype=np.float32), {"A": 0.1, "B": 0.0}, 0.1, "softmax")
    prior = csr_array(([0.5], ([0], [1])), shape=(2, 2))
    found = top_items(item_index, np.eye(3)[:2], [np.array([0]), np.array([], int)], 1, 2**20, prior)
    caps = (read_only(np.zeros((2, 1), np.int64)), read_only(np.ones(1, np.int64)))
    walk(found.items, np.arange(2), *caps, np.full((2, 1), -1), np.zeros(2, np.int64), np.full((2, 1), -1))


if __name__ == "__main__":
    main()
