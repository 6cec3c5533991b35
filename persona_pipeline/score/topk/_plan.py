"""Size the tiles of users, blocks of items and matrix products of a CPU ranking, and its threads, within the memory bound.

oneDNN caches a primitive for every shape of product until the process ends: 20 KB on a CPU with AVX2 alone, up to 0.37
MB with VNNI, AVX-512 or AMX. Shapes are therefore few, whatever the users, items and blocks: a product has a multiple
of 64 personas, the same number for a whole item index, and one of eleven numbers of users; the rest is padding.
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
    """Open candidates a reservoir holds per user: a small multiple of k, and room for a chunk."""
    return 8 * k + 2 * CHUNK_ITEMS


def width(users: int) -> int:
    """Number of users, padded to one of the supported product widths."""
    return next((few for few in _FEW_USERS if users <= few), -(-users // _USERS) * _USERS)


def _within(users: int) -> int:
    """The largest supported product width of at most `users`; below the smallest width, `users` itself."""
    return next((few for few in reversed(_FEW_USERS) if few <= users < _USERS), users // _USERS * _USERS or users)


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of the parts a ranking is computed in.

    Attributes:
        threads: each has a tile of its own.
        tile: largest number of users of a tile.
        rows: personas of a product; no item has more.
        blocks: items, by start and stop, whose personas are quantised at once.
        brought_bytes: memory for the restrictions and prior of a tile's users.
    """

    threads: int
    tile: int
    rows: int
    blocks: list[tuple[int, int]]
    brought_bytes: int

    @classmethod
    def of(cls, request: TopKRequest, ends: np.ndarray, block_bytes: int, threads: int, precision: Precision) -> "Plan":
        """Plan a quarter of the memory for a block's personas, five eighths for tiles, an eighth for users' restrictions and prior.

        `ends` (items + 1,) is the row of each item's first persona; `threads` is the largest number of threads.
        """
        d, items = request.users.shape[1], len(ends) - 1
        left = max(block_bytes - _KEPT_BYTES, block_bytes // 2)  # the second below the least that is promised
        # As many as a chunk's items have on average, so that little of a product is padding.
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
        """Split users into tiles (start, stop), as large as `brought` (users,) bytes permit, balanced over the threads."""
        usual = self.brought_bytes // max(1, int(brought.mean()))
        most = min(self.tile, max(1, _within(usual)))
        share = -(-len(brought) // self.threads)
        return list(spans(brought, self.brought_bytes, min(most, width(-(-share // -(-share // most))))))

    def chunks(self, ends: np.ndarray, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Split the items of a block into chunks (start, stop) of at most `rows` personas."""
        while start < stop:
            last = int(np.searchsorted(ends, ends[start] + self.rows, side="right")) - 1
            last = min(last, start + CHUNK_ITEMS, stop)
            yield start, last
            start = last
