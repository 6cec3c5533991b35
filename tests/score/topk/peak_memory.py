"""Run by test_kernel.py in a process of its own: peak memory of `top_items` beside its arguments, in bytes, one JSON line."""

import json
import sys
from pathlib import Path
from typing import cast

import numpy as np
import torch
from scipy.sparse import csr_array, random_array

from persona_pipeline.score.topk._products import Precision
from persona_pipeline.score.topk.kernel import ItemIndex, top_items


def main(
    users: int, items: int, block_bytes: int, aggregation: str, kind: str, threads: int, precision: Precision | None
) -> int:
    """Peak of a call less what was held before it, on vectors that are `random` or all `tied`."""
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 8, items)
    vectors = rng.standard_normal((users + counts.sum(), 32))
    if kind == "tied":
        vectors[:] = vectors[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = np.char.mod("B%07d", np.arange(items))
    item_index = ItemIndex.build(
        np.repeat(names, counts),
        vectors[users:].astype(np.float32),
        dict.fromkeys(names.tolist(), 0.0),
        0.1,
        aggregation,
    )
    people, seen = vectors[:users].copy(), [rng.integers(0, items, 50) for _ in range(users)]
    prior = csr_array(random_array((users, items), density=min(1.0, 300 / items), rng=rng, format="csr"))
    del vectors
    top_items(
        item_index, people[:2], seen[:2], 20, block_bytes, prior[:2], precision=precision
    )  # loads what is loaded once
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    top_items(item_index, people, seen, 20, block_bytes, prior, precision=precision)
    return _status("VmHWM") - before


def _status(name: str) -> int:
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    users, items, block_bytes, aggregation, kind, threads, precision = sys.argv[1:]
    peak = main(
        int(users),
        int(items),
        int(block_bytes),
        aggregation,
        kind,
        int(threads),
        None if precision == "fastest" else cast(Precision, precision),
    )
    sys.stdout.write(json.dumps(peak))
