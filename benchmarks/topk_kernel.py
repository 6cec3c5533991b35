"""Our exact top-k items against faiss and against the bare matrix product: `topk_kernel.py [--users N] [--items N] ...`.

Three sides take turns on the same vectors with the same threads:

* ours: `top_items`, all that a Spark task asks of it: items by the maximum over personas, rescored in float64;
* faiss: `IndexFlatIP.search` for `k` times an item's personas, which must hold `k` distinct items and so proves the first `k`
  exact but for float32 rounding, and the reduction to items. `faiss_fewest` fetches only as many as turn out to hold
  them for every one of these users, which nobody knows beforehand;
* the product: float32 `users @ personas.T` in blocks, into memory that is allocated once, with nothing done to the scores.

Two kinds of unit vectors: `random`, independent normal, which no bound can prune, and `clustered`, items around centres and
personas around their item, with the decay of variances that a trained encoder's vectors have. The last line, JSON, has the
smaller ratio of the two kinds; `identical` says that ours are the items of a float64 brute force, for as many users as
`--checked`, and for all users those of faiss up to float32 rounding. `--device cuda` times ours against the product there,
without faiss.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import torch
from scipy.sparse import csr_array

from persona_pipeline.score.topk.kernel import ItemIndex, top_items

_DECAY = 1.2  # variance of the i-th direction is i ** -1.2: 0.67 of it in 16, 0.91 in 128 of 384
_RADIUS = 0.15  # of an item's personas
_FLOAT32 = 384 * 2.0**-24  # what float32 sums of 384 terms of unit vectors may be off by
_PRODUCT_USERS, _PRODUCT_PERSONAS = 1024, 10_240


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    normalised: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normalised


def vectors_of_kind(kind: str, users: int, items: int, personas: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of users (users, d) float64 and of personas (items x personas, d) float32, an item's together."""
    rng = np.random.default_rng(0)
    if kind == "random":
        return unit(rng.standard_normal((users, d))), unit(rng.standard_normal((items * personas, d))).astype(
            np.float32
        )
    spread = np.arange(1, d + 1) ** (-_DECAY / 2)
    centres = unit(rng.standard_normal((200, d)) * spread)
    middles = unit(centres[rng.integers(0, 200, items)] + 0.7 * unit(rng.standard_normal((items, d)) * spread))
    near = unit(rng.standard_normal((items * personas, d)) * spread)
    liked = middles[rng.integers(0, items, (users, 3))].sum(1)
    return unit(liked), unit(np.repeat(middles, personas, axis=0) + _RADIUS * near).astype(np.float32)


def search_faiss(
    index: faiss.IndexFlatIP, users: np.ndarray, fetched: int, personas: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Items (users, k) and scores by the best persona; an item is -1 where fewer than `k` were among the personas fetched."""
    scores, rows = index.search(users, fetched)
    items = rows // personas
    order = np.argsort(items, axis=1, kind="stable")  # an item's best persona first
    ordered = np.take_along_axis(items, order, 1)
    first = np.ones(items.shape, dtype=bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    best = np.zeros(items.shape, dtype=bool)
    np.put_along_axis(best, order, first, 1)
    place = best.cumsum(1) - 1
    user, column = np.nonzero(best & (place < k))
    found, values = np.full((len(users), k), -1), np.full((len(users), k), -np.inf)
    found[user, place[user, column]] = items[user, column]
    values[user, place[user, column]] = scores[user, column]
    return found, values


def product(users: torch.Tensor, personas: torch.Tensor) -> None:
    """The scores, block after block into the same memory."""
    out = torch.empty(min(_PRODUCT_USERS, len(users)), min(_PRODUCT_PERSONAS, len(personas)), device=users.device)
    for u in (users[n : n + _PRODUCT_USERS] for n in range(0, len(users), _PRODUCT_USERS)):
        for p in (personas[n : n + _PRODUCT_PERSONAS] for n in range(0, len(personas), _PRODUCT_PERSONAS)):
            torch.mm(u, p.T, out=out[: len(u), : len(p)])
    if users.device.type == "cuda":
        torch.cuda.synchronize()


def identical(
    item_index: ItemIndex, users: np.ndarray, ours: Any, theirs: np.ndarray | None, checked: int, k: int
) -> bool:
    """Whether ours are the brute force's items and scores for the first users, and all scores faiss's up to its rounding."""
    similarities = users[:checked] @ item_index.vectors.T.astype(np.float64)
    scores = np.round(similarities.reshape(len(similarities), len(item_index.item_ids), -1).max(-1), 9)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    same = bool((ours.items[:checked] == expected).all())
    near = np.abs(ours.scores[:checked] - np.take_along_axis(scores, expected, 1)).max() < 1e-6
    return same and bool(near) and (theirs is None or bool(np.abs(ours.scores - theirs).max() < _FLOAT32))


def compare(kind: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Medians of wall seconds of each side, and of the ratios within a round."""
    users, personas = vectors_of_kind(kind, arguments.users, arguments.items, arguments.personas, arguments.dimensions)
    names = np.repeat([f"B{n:07d}" for n in range(arguments.items)], arguments.personas)
    item_index = ItemIndex.build(
        names, personas, dict.fromkeys(names.tolist(), 0.0), arguments.temperature, arguments.aggregation
    )
    nobody, nothing = [np.empty(0, int)] * len(users), csr_array((len(users), arguments.items))
    single = users.astype(np.float32)
    on_device = [torch.from_numpy(a).to(arguments.device) for a in (single, personas)]
    sides: dict[str, Callable[[], Any]] = {
        "ours": lambda: top_items(
            item_index, users, nobody, arguments.k, arguments.block_bytes, nothing, device=arguments.device
        ),
        "gemm": lambda: product(*on_device),
    }
    fewest, most = 0, arguments.k * arguments.personas
    if arguments.device == "cpu" and arguments.aggregation == "max":
        index = faiss.IndexFlatIP(arguments.dimensions)
        index.add(personas)
        fewest = _fewest(index, single, arguments)
        sides["faiss"] = lambda: search_faiss(index, single, most, arguments.personas, arguments.k)
        sides["faiss_fewest"] = lambda: search_faiss(index, single, fewest, arguments.personas, arguments.k)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    busy: dict[str, list[float]] = {name: [] for name in sides}
    results: dict[str, Any] = {}
    for n in range(arguments.rounds + 1):
        for name in sides if n % 2 else reversed(sides):
            started, worked = time.perf_counter(), time.process_time()
            results[name] = sides[name]()
            if n:  # the first round warms up
                seconds[name].append(time.perf_counter() - started)
                busy[name].append(time.process_time() - worked)
    same = None
    if arguments.aggregation == "max":
        theirs = results["faiss"][1] if "faiss" in results else None
        same = identical(item_index, users, results["ours"], theirs, arguments.checked, arguments.k)
    medians = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    cpu = {name: round(statistics.median(values), 3) for name, values in busy.items()}
    ratios = {name: round(_ratio(seconds[name], seconds["ours"]), 3) for name in sides}
    cpu_ratios = {name: round(_ratio(busy[name], busy["ours"]), 3) for name in sides}
    print(
        f"\n{kind}, {arguments.rounds} rounds; that fetched personas prove {arguments.k} items was found to take {fewest}"
    )
    print("| side | seconds | CPU seconds | times ours | times ours, CPU |\n| --- | --- | --- | --- | --- |")
    for name in sides:
        print(f"| {name} | {medians[name]} | {cpu[name]} | {ratios[name]} | {cpu_ratios[name]} |", flush=True)
    return {
        **{f"ratio_vs_{name}": ratio for name, ratio in ratios.items() if name != "ours"},
        **{f"cpu_ratio_vs_{name}": ratio for name, ratio in cpu_ratios.items() if name != "ours"},
        "seconds": medians,
        "identical": same,
    }


def _ratio(theirs: list[float], ours: list[float]) -> float:
    return statistics.median(t / o for t, o in zip(theirs, ours, strict=True))


def _fewest(index: faiss.IndexFlatIP, users: np.ndarray, arguments: argparse.Namespace) -> int:
    """Fewest personas, of some numbers up to all an item has times k, that hold k items for every user."""
    k, most = arguments.k, arguments.k * arguments.personas
    tried = sorted({min(most, int(k * times)) for times in (1.1, 1.2, 1.5, 2, 3, 4)})
    found = (n for n in tried if (search_faiss(index, users, n, arguments.personas, k)[0] >= 0).all())
    return int(next(found, most))


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both kinds of vectors; the smaller ratios."""
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    kinds = {kind: compare(kind, arguments) for kind in arguments.kinds}
    ratios = {
        name: min(found[name] for found in kinds.values())
        for name in ("ratio_vs_faiss", "ratio_vs_gemm")
        if all(name in found for found in kinds.values())
    }
    return {
        **ratios,
        "identical": all(found["identical"] is not False for found in kinds.values()),
        "kinds": kinds,
        "users": arguments.users,
        "items": arguments.items,
        "personas": arguments.personas,
        "k": arguments.k,
        "aggregation": arguments.aggregation,
        "block_bytes": arguments.block_bytes,
        "threads": arguments.threads,
        "device": arguments.device,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=4096)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--personas", type=int, default=5, help="of an item")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("-k", type=int, default=100)
    parser.add_argument("--aggregation", choices=["max", "softmax"], default="max", help="faiss knows only max")
    parser.add_argument("--temperature", type=float, default=0.1)
    parser.add_argument("--block-bytes", type=int, default=256 * 2**20)
    parser.add_argument("--kinds", nargs="+", choices=["random", "clustered"], default=["random", "clustered"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--checked", type=int, default=256)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    print(json.dumps(main(parser.parse_args())))
