"""Rank users against an item index on a GPU, by tiles of users and blocks of items within a memory bound; score short lists."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from persona_pipeline.score.item_index import ItemIndex, TopItems
from persona_pipeline.score.topk._compiled import TIED
from persona_pipeline.score.topk._first_pass import CHUNK, Block, FirstPass, error_bound, tensor
from persona_pipeline.score.topk._request import TopKRequest, part_of, spans
from persona_pipeline.score.topk._rescoring import Pairs, dots, merge

_MOST_USERS = 256  # of a tile: more are multiplied no faster
_ALIGNED = 16  # a tile that is no multiple of this is multiplied more slowly
_PAIR_BYTES = 64  # of an item and a user, while they are put in order
_GROUPS = 8  # times k: of so many groups of items, the k-th best of their best is close to the k-th best item


def topk_gpu(request: TopKRequest, found: TopItems, block_bytes: int, device: str, bfloat16: bool) -> None:
    """Write the top items of the request's users into `found`, which is empty, by a first pass over every item."""
    item_index = request.item_index
    tile, blocks = _plan(request, block_bytes)
    # A user's restrictions and prior, in bytes: entries of the prior, and items left out.
    size = np.bincount(request.groups.indices, minlength=request.groups.shape[1])  # of a group
    left_out = [
        len(seen) + int(size[closed].sum()) + (0 if only is None else len(item_index.item_ids))
        for seen, closed, only in zip(request.seen, request.closed, request.candidates, strict=True)
    ]
    brought = 64 * (np.diff(request.prior.indptr) + np.array(left_out))
    for start, stop in blocks:
        block = Block.of(item_index, start, stop, device)
        first_pass = FirstPass(block, tile, _temperature(item_index), bfloat16)
        for low, high in spans(brought, block_bytes // 8, tile):
            here = request.of(np.arange(low, high))
            _tile(here, block, first_pass, part_of(found, low, high), block_bytes, bfloat16)


def rank_lists(request: TopKRequest, found: TopItems, block_bytes: int) -> None:
    """Write the top items of the request's users, all with candidates, into the empty `found`; scores only candidates."""
    item_index = request.item_index
    listed = []
    for only, seen, closed in zip(request.candidates, request.seen, request.closed, strict=True):
        left = np.setdiff1d([] if only is None else only, seen).astype(int)
        listed.append(left[request.groups[left][:, closed].sum(axis=1) == 0] if len(closed) else left)
    users = tensor(request.users)
    for low, high in _groups(np.array([len(items) for items in listed]), request, block_bytes):
        owners = np.repeat(np.arange(high - low), [len(items) for items in listed[low:high]])
        items = np.concatenate(listed[low:high])
        near = item_index.filled[items]
        _rescore(
            request.of(np.arange(low, high)),
            part_of(found, low, high),
            (owners, items, near),
            tensor(item_index.vectors),
            torch.from_numpy(item_index.slots[items][near]),
            users[low:high],
            block_bytes,
        )


def _temperature(item_index: ItemIndex) -> float | None:
    return item_index.temperature if item_index.aggregation == "softmax" else None


def _plan(request: TopKRequest, block_bytes: int) -> tuple[int, list[tuple[int, int]]]:
    """Size a tile of users and the blocks of items; five eighths of the memory are for scores."""
    item_index, d = request.item_index, request.users.shape[1]
    groups = min(_GROUPS * request.k, len(item_index.item_ids))
    chunk = min(CHUNK, len(item_index.item_ids)) * (
        1 if _temperature(item_index) is None else item_index.slots.shape[1] + 1
    )
    # Bytes of a user for any block: copies, the best of groups, and buffers of a chunk's scores.
    each = 32 * d + 8 * groups + 4 * chunk
    # Bytes of an item and user: its score, whether it stays, and for the maximum its personas' scores.
    costs = 5 + 4 * item_index.filled.sum(1) * (_temperature(item_index) is None)
    budget = block_bytes // 8 * 5
    tile = min(_MOST_USERS, len(request.users), budget // (each + int(costs.max(initial=0))))
    if tile > _ALIGNED:
        tile -= tile % _ALIGNED
    return max(1, tile), list(spans(costs, budget // max(1, tile) - each, len(costs)))


def _tile(
    request: TopKRequest, block: Block, first_pass: FirstPass, found: TopItems, block_bytes: int, bfloat16: bool
) -> None:
    item_index, users = request.item_index, torch.from_numpy(request.users).to(block.vectors.device)
    scores = first_pass.scores(users, torch.from_numpy(request.scales).to(users.device))
    tile = len(users)
    prior = request.prior[:, block.start : block.start + len(block.items)].tocoo()
    if prior.nnz:
        entries = torch.from_numpy(block.place[prior.coords[1]] * tile + prior.coords[0]).to(users.device)
        scores.view(-1).index_add_(0, entries, torch.from_numpy(prior.data).to(users.device, torch.float32))
    left_out = _left_out(request, block)
    scores.view(-1)[torch.from_numpy(left_out).to(users.device)] = -torch.inf

    # torch may be configured to multiply float32 through TF32 or bfloat16.
    coarse = bfloat16 or torch.get_float32_matmul_precision() != "highest"
    errors = error_bound(item_index, request.users, request.scales, request.largest_prior(), block.norm, coarse)
    error = torch.from_numpy(errors).to(users.device)
    least = torch.maximum(
        _kth_at_least(scores, request.k) - 2 * error,
        torch.from_numpy(found.scores[:, -1]).to(users.device) - error,
    )
    # Rounded down; above -inf, the score of excluded items.
    bar = torch.nextafter((least - TIED).float(), torch.tensor(-torch.inf)).clamp(min=torch.finfo().min)
    for low, high, rows, owners in _pairs(scores >= bar, request, block_bytes):
        near = block.filled[rows]
        if first_pass.temperature is None:
            similar = first_pass.of_items(rows, owners + low, tile)
            near &= similar >= similar.amax(1, keepdim=True) - 2.01 * error[owners + low, None].float()
        _rescore(
            request.of(np.arange(low, high)),
            part_of(found, low, high),
            (owners.cpu().numpy(), block.items[rows.cpu().numpy()], near.cpu().numpy()),
            block.vectors,
            block.rows[rows][near],
            users[low:high],
            block_bytes,
        )


def _pairs(chosen: Tensor, request: TopKRequest, block_bytes: int) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """Yield rows and users of chosen cells, (items, users) bool, by group of users `low` to `high`, counted from `low`."""
    if int(chosen.count_nonzero()) <= block_bytes // 8 // _PAIR_BYTES:
        pairs = chosen.nonzero()
        rows, owners = pairs[pairs[:, 1].argsort(stable=True)].unbind(1)
        counts = owners.bincount(minlength=chosen.shape[1]).cpu().numpy()
        ends = np.concatenate([[0], counts.cumsum()])
        for low, high in _groups(counts, request, block_bytes):
            yield low, high, rows[ends[low] : ends[high]], owners[ends[low] : ends[high]] - low
        return
    for low, high in _groups(chosen.sum(0).cpu().numpy(), request, block_bytes):
        pairs = chosen[:, low:high].nonzero()
        rows, owners = pairs[pairs[:, 1].argsort(stable=True)].unbind(1)
        yield low, high, rows, owners


def _left_out(request: TopKRequest, block: Block) -> np.ndarray:
    """Return (n,) flat positions, items by users, of scores to mask: items seen, closed or not among the user's candidates."""
    tile, (start, n) = len(request.users), (block.start, len(block.items))
    left_out = request.left_out()
    owners = np.repeat(np.arange(tile), [len(items) for items in left_out])
    items = np.concatenate(left_out).astype(np.int64) - start
    here = (items >= 0) & (items < n)
    places = [block.place[items[here]] * tile + owners[here]]
    for user, only in enumerate(request.candidates):
        if only is not None:
            others = np.ones(len(request.item_index.item_ids), bool)
            others[only] = False
            places.append(block.place[others[start : start + n]] * tile + user)
    return np.concatenate(places)


def _kth_at_least(scores: Tensor, k: int) -> Tensor:
    """Bound the k-th best of (items, users) scores from below, (users,) float64, by maxima of disjoint groups.

    -inf where there are fewer than k items.
    """
    groups = min(len(scores), _GROUPS * k)
    if groups < k:
        return torch.full(scores.shape[1:], -torch.inf, dtype=torch.float64, device=scores.device)
    size = len(scores) // groups
    best = scores[: size * groups].view(size, groups, -1).amax(0)
    return best.T.contiguous().topk(k, dim=1, sorted=True).values[:, -1].double()


def _groups(counts: np.ndarray, request: TopKRequest, block_bytes: int) -> Iterator[tuple[int, int]]:
    """Split users into consecutive groups whose padded tables fit in an eighth of the memory; a group has at least one user."""
    slots = request.item_index.slots.shape[1]
    cells = max(1, block_bytes // 8 // (32 * slots + 256))
    start = 0
    while start < len(counts):
        widest = request.k + np.maximum.accumulate(counts[start:])
        many = int(np.searchsorted(widest * np.arange(1, len(widest) + 1), cells, side="right"))
        yield start, start + max(1, many)
        start += max(1, many)


def _rescore(
    request: TopKRequest,
    found: TopItems,
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray],
    vectors: Tensor,
    rows: Tensor,
    users: Tensor,
    block_bytes: int,
) -> None:
    """Merge pairs (owners, items, near) into `found`, by float64 scores of the near personas, `rows` of `vectors`."""
    owners, items, near = pairs
    pair, slot = near.nonzero()
    similarities = np.full(near.shape, -np.inf)
    similarities[pair, slot] = dots(vectors, rows, users, owners[pair], block_bytes // 16).cpu().numpy()
    merge(request.item_index, found, Pairs(owners, items, similarities), request.prior, request.scales)
