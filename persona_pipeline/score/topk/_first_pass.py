"""Score every item of a block for a tile of users in float32 or bfloat16, and bound the error (first pass on a GPU).

Scores are stored items by users, so that a persona's row, an item's row and a threshold per user are all contiguous.
Personas are multiplied a chunk of items at a time: while the chunk's scores are in cache, an elementwise maximum (or
sum of exponentials) over slots reduces them to scores of items. Within a chunk items are sorted by number of personas,
descending, so that the items with a j-th persona are a prefix and nothing is padded.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from persona_pipeline.core.arrays import offsets_of
from persona_pipeline.score.item_index import ItemIndex

CHUNK = 512  # items whose personas are multiplied at once: 2,560 rows of five each keep a matrix product busy
LARGEST_EXPONENT = 80.0  # e**80 and e**-80 are normal float32 numbers


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive items of a block: their score rows, persona rows, and per slot the persona's row in the chunk."""

    items: slice
    personas: slice
    slots: list[Tensor]

    @property
    def width(self) -> int:
        """Number of personas."""
        return int(self.personas.stop - self.personas.start)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive items of an item index, n of them from `start`.

    Attributes:
        items: (n,) index into `ItemIndex.item_ids` of each row of scores.
        place: (n,) row of scores of each item in the item index's order.
        chunks: items that are multiplied at once.
        vectors: (personas, d) float32, on a CPU the item index's own memory.
        first_row: row of the block's first persona in `ItemIndex.vectors`.
        rows: (n, slots) row in `vectors`, 0 for padding.
        filled: (n, slots) whether the slot holds a persona.
        popularity: (n,) float32.
        norm: largest length of a vector.
    """

    start: int
    items: np.ndarray
    place: np.ndarray
    chunks: list[Chunk]
    vectors: Tensor
    first_row: int
    rows: Tensor
    filled: Tensor
    popularity: Tensor
    norm: float

    @classmethod
    def of(cls, item_index: ItemIndex, start: int, stop: int, device: str) -> "Block":
        """Prepare items `start` to `stop` of the item index on a device."""
        counts = item_index.filled[start:stop].sum(1)
        order = np.lexsort((-counts, np.arange(stop - start) // CHUNK))
        first_row = int(item_index.slots[start, 0])
        vectors = tensor(item_index.vectors[first_row : first_row + int(counts.sum())]).to(device)
        filled = item_index.filled[start:stop][order]
        rows = np.where(filled, item_index.slots[start:stop][order] - first_row, 0)
        ends = offsets_of(counts)
        chunks = []
        for first in range(0, stop - start, CHUNK):
            items = slice(first, min(first + CHUNK, stop - start))
            personas = slice(int(ends[items.start]), int(ends[items.stop]))
            present = [rows[items, j][filled[items, j]] - personas.start for j in range(int(counts[order[first]]))]
            chunks.append(Chunk(items, personas, [torch.from_numpy(slot).to(device) for slot in present]))
        return cls(
            start,
            order + start,
            np.argsort(order),
            chunks,
            vectors,
            first_row,
            torch.from_numpy(rows).to(device),
            torch.from_numpy(filled).to(device),
            torch.from_numpy(item_index.popularity[order + start]).to(device, torch.float32),
            max(float(vectors[chunk.personas].norm(dim=1).max()) for chunk in chunks),
        )


def tensor(array: np.ndarray) -> Tensor:
    """Wrap a NumPy array as a tensor of the same memory, also where it is read-only: no function here writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


class FirstPass:
    """Compute first-pass scores of a block for successive tiles of users, in memory that is allocated once.

    Args:
        block: the items.
        users: largest number of users of a tile.
        temperature: of the soft maximum; None for the maximum.
        bfloat16: whether to multiply in bfloat16 instead of float32.
    """

    def __init__(self, block: Block, users: int, temperature: float | None, bfloat16: bool) -> None:
        self._block = block
        self.temperature = temperature
        self._bfloat16 = bfloat16
        device = block.vectors.device
        # The maximum reads again, of the items it keeps, which persona was the best; the soft maximum needs them all anew.
        kept = len(block.vectors) if temperature is None else max(chunk.width for chunk in block.chunks)
        self._personas = torch.empty(kept * users, device=device)
        self._slot = torch.empty(min(CHUNK, len(block.items)) * users, device=device)
        self._items = torch.empty(len(block.items) * users, device=device)

    def scores(self, users: Tensor, scales: Tensor) -> Tensor:
        """Compute (n, users) float32 scores without the prior, valid until the next call.

        Args:
            users: (users, d) float64.
            scales: (users,) float64, factor of an item's popularity share.
        """
        block, n = self._block, len(users)
        turned = (users if self.temperature is None else users / self.temperature).T
        turned = turned.to(torch.bfloat16 if self._bfloat16 else torch.float32).contiguous()
        items = self._items[: len(block.items) * n].view(-1, n)
        largest = float(users.norm(dim=1).max()) * block.norm
        for chunk in block.chunks:
            personas = self.personas(chunk, n)
            vectors = block.vectors[chunk.personas]
            if self._bfloat16:
                personas.copy_(vectors.to(torch.bfloat16) @ turned)
            else:
                torch.mm(vectors, turned, out=personas)
            if self.temperature is None:
                self._maximum(chunk, personas, items[chunk.items])
            elif largest / self.temperature < LARGEST_EXPONENT:
                self._soft_maximum(chunk, personas.exp_(), items[chunk.items])
            else:
                self._steep_maximum(chunk, personas, items[chunk.items])
        if self.temperature is not None:
            items -= block.filled.sum(1, keepdim=True).log()
            items *= self.temperature
        return items.addr_(block.popularity, scales.float())

    def personas(self, chunk: Chunk, users: int) -> Tensor:
        """View the (personas of the chunk, users) buffer of persona scores."""
        start = chunk.personas.start if self.temperature is None else 0
        return self._personas[start * users : (start + chunk.width) * users].view(-1, users)

    def of_items(self, rows: Tensor, users: Tensor, tile: int) -> Tensor:
        """Gather (pairs, slots) scores of every persona for pairs of an item row and a user, -inf for padding."""
        found = self._personas[self._block.rows[rows] * tile + users[:, None]]
        return found.masked_fill_(~self._block.filled[rows], -torch.inf)

    def _maximum(self, chunk: Chunk, personas: Tensor, out: Tensor) -> None:
        torch.index_select(personas, 0, chunk.slots[0], out=out)
        for slot in chunk.slots[1:]:
            part = out[: slot.shape[0]]
            torch.maximum(part, self._picked(personas, slot), out=part)

    def _soft_maximum(self, chunk: Chunk, powers: Tensor, out: Tensor) -> None:
        torch.index_select(powers, 0, chunk.slots[0], out=out)
        for slot in chunk.slots[1:]:
            out[: len(slot)] += self._picked(powers, slot)
        out.log_()

    def _steep_maximum(self, chunk: Chunk, personas: Tensor, out: Tensor) -> None:
        torch.index_select(personas, 0, chunk.slots[0], out=out)
        for slot in chunk.slots[1:]:
            torch.logaddexp(out[: len(slot)], self._picked(personas, slot), out=out[: len(slot)])

    def _picked(self, personas: Tensor, slot: Tensor) -> Tensor:
        into = self._slot[: slot.shape[0] * personas.shape[1]].view(slot.shape[0], -1)
        return torch.index_select(personas, 0, slot, out=into)


def error_bound(
    item_index: ItemIndex, users: np.ndarray, scales: np.ndarray, largest_prior: np.ndarray, norm: float, bfloat16: bool
) -> np.ndarray:
    """Bound the error of a first-pass score, for each user.

    With unit roundoff r, a dot product of d terms whose factors were each rounded once is off by at most ((1 + r)**2 *
    (1 + g) - 1) |u| |p|, where g = d s / (1 - d s) and s = 2**-24 is the roundoff of its float32 sums, in any order of
    summation, fused or not (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1; sum |u_i| |p_i| <= |u|
    |p|). bfloat16 has r = 2**-8 and rounds the result once more; float32 vectors are only rounded where users are
    converted to float32. The soft maximum is 1-Lipschitz in the largest difference of its arguments; its exponentials,
    sum and logarithm are off by a few s each, in units of the temperature. Popularity and prior are rounded, multiplied
    and added in float32.

    Args:
        item_index: its popularity, temperature and number of slots.
        users: (users, d) float64.
        scales: (users,) factor of an item's popularity share.
        largest_prior: (users,) largest absolute entry.
        norm: largest length of a persona vector.
        bfloat16: whether the products were computed in bfloat16.
    """
    single, d = 2.0**-24, users.shape[1]
    rounded = 2.0**-8 if bfloat16 else single
    sums = (d + 2) * single / (1 - (d + 2) * single)
    relative = (1 + rounded) ** 3 * (1 + sums) - 1
    similarity = np.linalg.norm(users, axis=1) * norm
    added = np.abs(scales) * float(np.abs(item_index.popularity).max(initial=0.0)) + largest_prior
    found = relative * similarity + 8 * single * (similarity + added)
    if item_index.aggregation == "softmax":
        slots = item_index.slots.shape[1]
        found += 8 * single * (similarity + item_index.temperature * (slots + 8 + np.log(slots)))
    bound: np.ndarray = found
    return bound
