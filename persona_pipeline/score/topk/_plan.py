"""How much is multiplied at once, and in how many threads, so that ranking on a CPU stays within its memory.

oneDNN keeps what it makes for every shape of product it was given until the process ends: 20 KB on a CPU with AVX2 alone,
up to 0.37 MB with VNNI, AVX-512 or AMX. Shapes are therefore few, whatever users, items and blocks there are: a product has
a multiple of 64 personas, the same number for a whole item index, and one of eleven numbers of users; what is missing is filled up.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from persona_pipeline.score.topk._compiled import Reservoir
from persona_pipeline.score.topk._products import Precision
from persona_pipeline.score.topk._request import TopKRequest, spans

CHUNK_ITEMS = 256
MOST_USERS = 512  # of a tile: more are multiplied no faster
_MOST_ROWS = 1280  # personas multiplied at once: fewer are slower, more are no faster
_ROWS = 64
_FEW_USERS, _USERS = (16, 32, 48), 64  # of a product: one of these, or a multiple of that
# Kept by oneDNN for products of every number of users.
_KEPT_BYTES = 4 * 2**20


def capacity(k: int) -> int:
    """Of a reservoir: room for a chunk beside what is open, of which there are some multiples of k."""
    return 8 * k + 2 * CHUNK_ITEMS


def width(users: int) -> int:
    """As how many so many users are multiplied."""
    return next((few for few in _FEW_USERS if users <= few), -(-users // _USERS) * _USERS)


def _within(users: int) -> int:
    """The largest such number up to `users`; fewer than all of them are their own."""
    return next((few for few in reversed(_FEW_USERS) if few <= users < _USERS), users // _USERS * _USERS or users)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep does at once.

    Attributes:
        threads: each has a tile of its own.
        tile: most users of a tile.
        rows: personas of a product; an item has no more.
        blocks: items, by start and stop, whose personas are made whole at once.
        brought_bytes: for what a tile's users bring along.
    """

    threads: int
    tile: int
    rows: int
    blocks: list[tuple[int, int]]
    brought_bytes: int

    @classmethod
    def of(cls, request: TopKRequest, ends: np.ndarray, block_bytes: int, threads: int, precision: Precision) -> "Plan":
        """A quarter of the memory for a block's personas, five eighths for tiles, an eighth for what users bring along.

        `ends` (items + 1,) is where each item's personas start; `threads` as many as there may be.
        """
        d, items = request.users.shape[1], len(ends) - 1
        left = max(block_bytes - _KEPT_BYTES, block_bytes // 2)  # the second below the least that is promised
        # As many as a chunk's items have on average, so that most of what is multiplied is theirs.
        rows = min(_MOST_ROWS, int(ends[-1]) * CHUNK_ITEMS // max(1, items), left // 4 // d) // _ROWS * _ROWS
        most = int(np.diff(ends).max(initial=1))  # of an item
        rows = max(rows, -(-most // _ROWS) * _ROWS)
        # Bytes of a user: copies, reservoir, and a chunk's scores of personas, of which two lie about at times, and of items.
        each = 48 * d + Reservoir.bytes_of(capacity(request.k), request.k) + 8 * rows + 8 * CHUNK_ITEMS
        beside = 2 * d * rows if precision == "bfloat16" else 0  # a chunk's personas, once more
        tiles = left // 8 * 5
        threads = max(1, min(threads, len(request.users), tiles // (_FEW_USERS[0] * each + beside)))
        tile = max(1, _within(min(MOST_USERS, (tiles // threads - beside) // each)))
        # Bytes of an item: whole numbers, and where its entries of prior and left-out users start, for each thread.
        costs = np.diff(ends) * (d if precision == "int8" else 0) + 32 * threads
        return cls(threads, tile, rows, list(spans(costs, left // 4, items)), left // threads // 8)

    def tiles(self, brought: np.ndarray) -> list[tuple[int, int]]:
        """Users, by start and stop, who bring along (users,) bytes: as many in each tile as can be, a multiple of threads."""
        usual = self.brought_bytes // max(1, int(brought.mean()))
        most = min(self.tile, max(1, _within(usual)))
        share = -(-len(brought) // self.threads)
        return list(spans(brought, self.brought_bytes, min(most, width(-(-share // -(-share // most))))))

    def chunks(self, ends: np.ndarray, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Items of a block, by start and stop, that have no more than `rows` personas."""
        while start < stop:
            last = int(np.searchsorted(ends, ends[start] + self.rows, side="right")) - 1
            last = min(last, start + CHUNK_ITEMS, stop)
            yield start, last
            start = last
