"""Rank users against an item index on a CPU, by tiles of users and blocks of items, within a memory bound.

A first pass multiplies a chunk of personas with a tile of users; `_plan` sizes tiles, blocks and chunks, and
`_compiled` processes the scores while they are in cache.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array

from persona_pipeline.core.arrays import offsets_of, read_only
from persona_pipeline.score.item_index import TopItems
from persona_pipeline.score.topk._compiled import (
    Columns,
    ItemBlock,
    Reservoir,
    UserTile,
    collect,
    combine,
    expect,
    give,
    seed,
    settle,
)
from persona_pipeline.score.topk._first_pass import LARGEST_EXPONENT, error_bound
from persona_pipeline.score.topk._plan import CHUNK_ITEMS, Plan, capacity, width
from persona_pipeline.score.topk._products import Personas, Precision, Products, best_precision, longest
from persona_pipeline.score.topk._request import TopKRequest, nothing_found, part_of, put, spans

_EVERY = 3  # factor by which the items seen grow before thresholds are raised again
# How far below a user's best k among the items seen so far bars are set, in deviations of their number and in items: one
# of some ten thousand users is missed where items lie in no order.
_DEVIATIONS, _SPARE = 4.0, 4
# Share of all personas at which rescoring, beside the top k's, takes the time that int8 products save.
_TOO_MANY_OPEN = 1 / 27
_TOO_OFTEN = 0.1  # share of users to rank again from which on later tiles use no estimate


@dataclass(frozen=True, slots=True)
class Block:
    """Items `start` to `stop`, their personas in the first pass's precision, and their chunks (start, stop)."""

    start: int
    stop: int
    personas: Personas
    chunks: list[tuple[int, int]]

    @classmethod
    def of(cls, items: ItemBlock, start: int, stop: int, plan: Plan, precision: Precision) -> "Block":
        """Prepare a block of an item index."""
        personas = Personas.of(items.vectors[items.ends[start] : items.ends[stop]], precision, plan.rows)
        return cls(start, stop, personas, list(plan.chunks(items.ends, start, stop)))


def topk_cpu(request: TopKRequest, found: TopItems, block_bytes: int, precision: Precision | None) -> None:
    """Write the top items of the request's users into `found`, which is empty.

    With `precision` None, a block continues in float32 when its int8 products leave too many personas to rescore.
    """
    item_index = request.item_index
    ends = offsets_of(item_index.filled.sum(1)).astype(np.int64)
    softmax = item_index.aggregation == "softmax"
    temperature = float(item_index.temperature) if softmax else 0.0
    items = ItemBlock(read_only(item_index.vectors), ends, read_only(item_index.popularity), temperature)
    fastest = precision or best_precision()
    plan = Plan.of(request, ends, block_bytes, torch.get_num_threads(), fastest)
    limited = any(only is not None for only in request.candidates)
    for start, stop in plan.blocks:
        # A user's restrictions and prior, in bytes: entries of the prior, items and groups left out, and candidates.
        entries = np.diff(request.prior.indptr) + [len(seen) for seen in request.seen]
        entries = entries + [len(closed) for closed in request.closed]
        brought = 64 * entries + limited * (stop - start)
        tiles = plan.tiles(brought)
        passes = [Block.of(items, start, stop, plan, fastest)]

        def rank(
            mine: list[tuple[int, int]],
            passes: list[Block] = passes,
            expecting: bool = start == plan.blocks[0][0] and not limited,
            brought: np.ndarray = brought,
        ) -> None:
            missed: list[int] = []
            for low, high in mine:
                block = passes[-1]
                here, into = request.of(np.arange(low, high)), part_of(found, low, high)
                again, scored = _tile(here, items, block, into, expecting)
                missed += (low + again).tolist()
                expecting = expecting and len(again) < _TOO_OFTEN * (high - low)
                personas = int(items.ends[block.stop] - items.ends[block.start])
                most = _TOO_MANY_OPEN * personas + request.k * item_index.slots.shape[1]
                if precision is None and block.personas.precision == "int8" and scored > most * (high - low):
                    passes.append(Block.of(items, block.start, block.stop, plan, "float32"))
            for low, high in spans(brought[missed], plan.brought_bytes, plan.tile):
                users = np.array(missed[low:high])
                part = nothing_found(len(users), request.k)
                _tile(request.of(users), items, passes[-1], part, expecting=False)
                put(found, users, part)

        _in_threads(rank, [tiles[n :: plan.threads] for n in range(plan.threads)])


def _in_threads(rank: Callable[[list[tuple[int, int]]], None], shares: list[list[tuple[int, int]]]) -> None:
    """Rank each share of tiles in a thread, with one torch thread each: many operations are too small to parallelise."""
    if len(shares) == 1:
        return rank(shares[0])
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(len(shares), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(rank, shares))
    finally:
        torch.set_num_threads(threads)  # MKL's number is the process's


def _tile(
    request: TopKRequest, items: ItemBlock, block: Block, found: TopItems, expecting: bool
) -> tuple[np.ndarray, int]:
    """Merge the block's top items into `found`, for one tile of users.

    With `expecting`, thresholds are raised early to an estimate of the user's k-th score: the r-th best score so far,
    where r is k times the fraction of items seen, plus 4 standard deviations and 4 items. Every item below a threshold
    is worse than the user's k-th if the final k-th score reaches the estimate. Otherwise thresholds follow the k-th
    score so far, and no item is missed.

    Returns (n,) users whose final k-th score is below the estimate, who must be ranked again, and how many personas
    were rescored.
    """
    k = request.k
    largest = longest(request.users, block.personas)
    temperature = items.temperature if largest < LARGEST_EXPONENT * items.temperature else 0.0
    wide = width(len(request.users))
    products = Products(block.personas, request.users, temperature or 1.0, wide)
    people = _people(request, block, products, 0.0 if temperature else items.temperature)
    columns = _columns(request, block)
    reservoir = Reservoir.empty(len(request.users), capacity(k), k)
    slots = np.where(found.items >= 0, found.personas - items.ends[found.items], 0)
    seed(found.items, slots, found.best, found.others, found.scores, people, reservoir)
    scores = np.empty((CHUNK_ITEMS, wide), np.float32)
    expected = np.full(len(request.users), -np.inf, np.float32)
    due, scored = 1, 0
    for start, stop in block.chunks:
        low, high = items.ends[start] - items.ends[block.start], items.ends[stop] - items.ends[block.start]
        personas = products(int(low), int(high))
        if temperature:
            personas.exp_()
        here = scores[: stop - start]
        rows = personas.numpy()
        combine(rows, items.ends[start : stop + 1], bool(temperature), here)
        if temperature:
            torch.from_numpy(here).log_().mul_(temperature)
        for everything in (False, True):
            if reservoir.opened.max() + stop - start > capacity(k):
                scored += settle(items, people, k, block.start, start, everything, reservoir)
        collect(here, rows, start, block.start, items, people, columns, reservoir)
        if stop - block.start >= due:
            share = k * (stop - block.start) / (block.stop - block.start)
            rank = int(share + _DEVIATIONS * share**0.5) + _SPARE
            if not expecting:
                scored += settle(items, people, k, block.start, stop, False, reservoir)
            elif rank < k:
                expect(people, rank, expected, reservoir)
            due = _EVERY * (stop - block.start)
    for everything in (False, True):
        scored += settle(items, people, k, block.start, block.stop, everything, reservoir)
    give(
        items,
        people,
        reservoir,
        *(getattr(found, n) for n in ("items", "personas", "best", "others", "prior", "scores")),
    )
    return np.flatnonzero(found.scores[:, -1] < expected), scored


def _people(request: TopKRequest, block: Block, products: Products, steep: float) -> UserTile:
    item_index, norm = request.item_index, max(block.personas.norm, block.personas.rounded_norm)

    largest_prior = request.largest_prior()

    def bound(coarse: bool) -> np.ndarray:
        return error_bound(item_index, request.users, request.scales, largest_prior, norm, coarse)

    # torch may be configured to multiply float32 through TF32 or bfloat16.
    coarse = block.personas.precision == "bfloat16" or torch.get_float32_matmul_precision() != "highest"
    # Beyond what exponentials hold the pass takes the maximum, which is above the soft one by no more than this.
    errors = bound(coarse) + products.errors(request.users) + steep * np.log(item_index.slots.shape[1])
    prior = request.prior.sorted_indices()
    return UserTile(
        request.users,
        request.users.astype(np.float32),
        request.scales,
        np.nextafter(errors.astype(np.float32), np.float32(np.inf)),
        np.nextafter(bound(False).astype(np.float32), np.float32(np.inf)),
        prior.indptr.astype(np.int64),
        prior.indices.astype(np.int64),
        prior.data,
    )


def _columns(request: TopKRequest, block: Block) -> Columns:
    """Arrange the tile's restrictions and prior by item of the block."""
    start, stop = block.start, block.stop
    prior = request.prior[:, start:stop].tocsc()
    owners = np.repeat(np.arange(len(request.users)), [len(seen) for seen in request.seen])
    seen = np.concatenate(request.seen).astype(np.int64) - start
    here = (seen >= 0) & (seen < stop - start)
    left_out = csr_array(
        (np.ones(int(here.sum()), bool), (owners[here], seen[here])), shape=(len(request.users), stop - start)
    ).tocsc()
    shut = np.concatenate(request.closed).astype(np.int64)
    allowed = np.empty((0, 0), bool)
    if any(only is not None for only in request.candidates):
        allowed = np.zeros((stop - start, len(request.users)), bool)
        for user, only in enumerate(request.candidates):
            if only is None:
                allowed[:, user] = True
            else:
                allowed[only[(only >= start) & (only < stop)] - start, user] = True
    return Columns(
        prior.indptr.astype(np.int64),
        prior.indices.astype(np.int64),
        prior.data.astype(np.float32),
        left_out.indptr.astype(np.int64),
        left_out.indices.astype(np.int64),
        allowed,
        (request.groups.indptr[start : stop + 1] - request.groups.indptr[start]).astype(np.int64),
        request.groups.indices[request.groups.indptr[start] : request.groups.indptr[stop]].astype(np.int64),
        offsets_of(np.bincount(shut, minlength=request.groups.shape[1])).astype(np.int64),
        np.repeat(np.arange(len(request.users)), [len(closed) for closed in request.closed])[
            np.argsort(shut, kind="stable")
        ],
    )
