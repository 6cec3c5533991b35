"""Compute exact top-k items for users, over a varying number of personas per item (`top_items`).

A first pass in int8, bfloat16 or float32 scores every item; candidates within its error bound are rescored in float64,
and the float64 score decides. Cost: users x personas x d for the pass; users x candidates x d for rescoring (x slots
for the soft maximum, to which every persona contributes), with candidates a small multiple of k.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from persona_pipeline.embeddings.model import has_bfloat16
from persona_pipeline.score.item_index import ItemIndex, TopItems, exact_scores

if TYPE_CHECKING:
    from persona_pipeline.score.topk._products import Precision

__all__ = ["ItemIndex", "TopItems", "exact_scores", "top_items"]

# A candidate list this many times shorter than the item index is scored by separate dot products (`rank_lists`); for a longer
# list the whole index is scored and other items are masked. A dot product costs about this many times its share of a matmul.
_SHORT = 50


def top_items(
    item_index: ItemIndex,
    users: np.ndarray,
    seen: list[np.ndarray],
    k: int,
    block_bytes: int,
    prior: csr_array,
    scales: np.ndarray | None = None,
    candidates: list[np.ndarray | None] | None = None,
    groups: csr_array | None = None,
    closed: list[np.ndarray] | None = None,
    device: str = "cpu",
    precision: "Precision | None" = None,
) -> TopItems:
    """Compute the exact top k items of each user.

    Args:
        item_index: items and personas.
        users: (users, d) float64 vectors.
        seen: for each user the indices of items to leave out.
        k: number of items per user.
        block_bytes: bound on memory allocated beside arguments and result, on a CPU whatever its instruction set; kept to
            from 16 MiB (`LEAST_BLOCK_BYTES` of the configuration) on. Lower values are best effort.
        prior: (users, items) score shares of the collaborative prior; may be empty.
        scales: (users,) factor of the item index's popularity for each user; None is 1.
        candidates: for each user the indices of the only items to rank, in any order; None, for all users or for one user, is
            every item.
        groups: (items, groups) which items a group holds; an item may be in any number of groups.
        closed: for each user the groups whose items to leave out; None is none.
        device: `cpu`, or `cuda` where the personas of a block are copied to.
        precision: of the first pass; None is the fastest native one. A GPU supports bfloat16 and float32.
    """
    # Imported where it computes: the driver only builds the item index, and torch takes seconds.
    from persona_pipeline.score.topk._cpu import topk_cpu
    from persona_pipeline.score.topk._gpu import rank_lists, topk_gpu
    from persona_pipeline.score.topk._request import TopKRequest, nothing_found, put

    lists: list[np.ndarray | None] = [None] * len(users) if candidates is None else candidates
    request = TopKRequest(
        item_index,
        users,
        seen,
        k,
        prior,
        np.ones(len(users)) if scales is None else scales,
        lists,
        csr_array((len(item_index.item_ids), 0), dtype=bool) if groups is None else groups,
        [np.empty(0, np.int64)] * len(users) if closed is None else closed,
    )
    short = np.array([only is not None and len(only) * _SHORT < len(item_index.item_ids) for only in lists], dtype=bool)
    found = nothing_found(len(users), k)
    for chosen, listed in ((np.flatnonzero(~short), False), (np.flatnonzero(short), True)):
        if not len(chosen):
            continue
        part = nothing_found(len(chosen), k)
        if listed:
            rank_lists(request.of(chosen), part, block_bytes)
        elif device == "cpu":
            topk_cpu(request.of(chosen), part, block_bytes, precision)
        else:
            bfloat16 = has_bfloat16(device) if precision is None else precision == "bfloat16"
            topk_gpu(request.of(chosen), part, block_bytes, device, bfloat16)
        put(found, chosen, part)
    return found
