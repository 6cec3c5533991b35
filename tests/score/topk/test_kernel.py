"""Top-k is exact: equal to a float64 brute force on friendly and on hostile vectors, whatever the blocks."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from persona_pipeline.config.score import LEAST_BLOCK_BYTES
from persona_pipeline.score.topk import _cpu, _first_pass, _gpu, _plan, _products, kernel
from persona_pipeline.score.topk._first_pass import Block, FirstPass, error_bound
from persona_pipeline.score.topk._products import Personas, Precision, Products, multiplies_int8
from persona_pipeline.score.topk._request import TopKRequest, nothing_found
from persona_pipeline.score.topk.kernel import ItemIndex, TopItems, exact_scores, top_items

NO_BOUND = 2**40
TEMPERATURE = 0.1


@dataclass(frozen=True)
class Case:
    """Users against an item index."""

    item_index: ItemIndex
    users: np.ndarray
    seen: list[np.ndarray]
    k: int
    prior: csr_array


def _unit(rows: np.ndarray) -> np.ndarray:
    normalised: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normalised


def make_case(kind: str, seed: int, users: int, items: int, k: int, aggregation: str, prior_scale: float = 0.0) -> Case:
    """Vectors of one kind; items have one to seven personas; each user has seen some items and has a prior on some."""
    rng = np.random.default_rng(seed)
    d = 24
    counts = rng.integers(1, 8, items)
    personas: np.ndarray = rng.standard_normal((counts.sum(), d))
    people: np.ndarray = rng.standard_normal((users, d))
    popularity: np.ndarray = rng.random(items) * 0.3
    if kind == "clustered":  # scores apart by less than float32 can tell
        personas = _unit(rng.standard_normal((1, d))) + 1e-7 * personas
        popularity = popularity * 1e-7
    elif kind == "tied":  # a handful of distinct items, each many times over
        counts = np.full(items, 2)
        kinds = rng.standard_normal((3, 2, d))
        chosen = rng.integers(0, 3, items)
        personas, popularity = kinds[chosen].reshape(-1, d), chosen * 0.01
    elif kind == "opposed":  # everything a user likes is at exactly right angles or straight away from them
        axes = np.eye(d)
        personas = axes[rng.integers(0, 3, counts.sum())] * rng.choice([-1.0, 1.0], (counts.sum(), 1))
        people = axes[rng.integers(0, 3, users)]
        popularity = np.zeros(items)
    item_of = np.repeat([f"B{n:05d}" for n in range(items)], counts)
    shares = {f"B{n:05d}": float(popularity[n]) for n in range(items)}
    item_index = ItemIndex.build(item_of, _unit(personas).astype(np.float32), shares, TEMPERATURE, aggregation)
    seen = [rng.choice(items, rng.integers(0, items + 1), replace=False) for _ in range(users)]
    prior = prior_scale * rng.random((users, items)) * (rng.random((users, items)) < 0.4)
    return Case(item_index, _unit(people), seen, k, csr_array(prior))


def brute_force(case: Case) -> tuple[list[list[int]], list[list[float]]]:
    """Every score in float64, one Python loop at a time; ties (to 1e-9) by item."""
    best_items, best_scores = [], []
    for user, seen, prior in zip(case.users, case.seen, case.prior.toarray(), strict=True):
        scored = []
        for item in range(len(case.item_index.item_ids)):
            rows = case.item_index.slots[item][case.item_index.filled[item]]
            similar = [float(np.dot(user, case.item_index.vectors[row].astype(np.float64))) for row in rows]
            relevance = max(similar)
            if case.item_index.aggregation == "softmax":
                powers = np.exp((np.array(similar) - max(similar)) / TEMPERATURE)
                relevance += TEMPERATURE * (np.log(powers.sum()) - np.log(len(rows)))
            if item not in seen:
                scored.append((-round(relevance + case.item_index.popularity[item] + prior[item], 9), item))
        scored.sort()
        best_items.append([item for _, item in scored[: case.k]])
        best_scores.append([-score for score, _ in scored[: case.k]])
    return best_items, best_scores


def listed(values: np.ndarray, items: np.ndarray) -> list[list[float]]:
    return [row[present].tolist() for row, present in zip(values, items >= 0, strict=True)]


CASES = st.builds(
    make_case,
    kind=st.sampled_from(["random", "clustered", "tied", "opposed"]),
    seed=st.integers(0, 2**32 - 1),
    users=st.integers(1, 4),
    items=st.integers(1, 90),
    k=st.integers(1, 12),
    aggregation=st.sampled_from(["softmax", "max"]),
    prior_scale=st.sampled_from([0.0, 1e-7, 0.3, 20.0]),
)


PRECISIONS: list[Precision] = ["int8", "bfloat16", "float32"]


def top(case: Case, block_bytes: int = NO_BOUND, precision: Precision | None = None) -> TopItems:
    return top_items(case.item_index, case.users, case.seen, case.k, block_bytes, case.prior, precision=precision)


def top_as_on_a_gpu(
    case: Case,
    block_bytes: int = NO_BOUND,
    bfloat16: bool = False,
    groups: csr_array | None = None,
    closed: list[np.ndarray] | None = None,
) -> TopItems:
    """By the operations a GPU is given, here on the CPU."""
    users, items = len(case.users), len(case.item_index.item_ids)
    found = nothing_found(users, case.k)
    groups = csr_array((items, 0), dtype=bool) if groups is None else groups
    closed = closed or [np.empty(0, int)] * users
    request = TopKRequest(
        case.item_index, case.users, case.seen, case.k, case.prior, np.ones(users), [None] * users, groups, closed
    )
    _gpu.topk_gpu(request, found, block_bytes, "cpu", bfloat16)
    return found


@contextmanager
def threads(number: int) -> Iterator[None]:
    """With so many of torch's."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@settings(max_examples=60, deadline=None)
@given(CASES)
@example(make_case("tied", 1, 3, 90, 10, "softmax"))
@example(make_case("clustered", 2, 3, 90, 10, "max"))
@example(make_case("opposed", 3, 3, 60, 5, "softmax"))
@example(make_case("random", 4, 3, 3, 12, "softmax"))  # k larger than there are items
@example(make_case("clustered", 5, 3, 90, 10, "max", prior_scale=1e-7))
@example(make_case("tied", 6, 3, 90, 10, "softmax", prior_scale=0.3))
@example(make_case("random", 7, 12, 90, 1, "softmax", prior_scale=20.0))  # what the prior lifts is far down without it
def test_equals_brute_force(case: Case) -> None:
    items, scores = brute_force(case)
    for found in (top(case), top_as_on_a_gpu(case)):
        assert listed(found.items, found.items) == items
        for ours, theirs in zip(listed(found.scores, found.items), scores, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-9)
        assert found.items.shape == (len(case.users), case.k)


def test_float32_alone_would_be_wrong() -> None:
    """Proof that the cases above are hard: the rough pass by itself orders clustered items wrongly."""
    case = make_case("clustered", 2, 3, 90, 10, "max")
    everything = replace(case, seen=[np.array([], int)] * 3)
    block = Block.of(case.item_index, 0, 90, "cpu")
    scores = FirstPass(block, 3, None, bfloat16=False).scores(torch.from_numpy(case.users), torch.ones(3))
    rough = block.items[scores.T.topk(10, dim=1).indices.numpy()]
    exact, _ = brute_force(everything)
    assert rough.tolist() != exact
    assert listed(top(everything).items, rough) == exact


@settings(max_examples=12, deadline=None)
@given(CASES, st.sampled_from([1, 10_000, 100_000]), st.sampled_from([None, 3]))
def test_blocks_of_any_size_give_identical_results(case: Case, block_bytes: int, chunk: int | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if chunk is not None:
            patch.setattr(_first_pass, "CHUNK", chunk)
            patch.setattr(_plan, "CHUNK_ITEMS", chunk)
        assert_same(top(case, block_bytes), top(case))
        assert_same(top_as_on_a_gpu(case, block_bytes), top(case))


def test_threads_give_identical_results_and_leave_their_number() -> None:
    case = make_case("tied", 12, 40, 90, 10, "max", prior_scale=0.3)
    with threads(1):
        alone = top(case)
    with threads(3):
        assert_same(top(case), alone)
        assert torch.get_num_threads() == 3


def assert_same(found: TopItems, expected: TopItems) -> None:
    np.testing.assert_array_equal(found.items, expected.items)
    present = expected.items >= 0
    for name in ("personas", "scores", "prior"):
        np.testing.assert_array_equal(getattr(found, name)[present], getattr(expected, name)[present])


@settings(max_examples=25, deadline=None)
@given(CASES)
@example(make_case("clustered", 2, 3, 90, 10, "max"))
@example(make_case("clustered", 2, 3, 90, 10, "softmax"))
def test_every_precision_gives_identical_results(case: Case) -> None:
    expected = top(case, precision="float32")
    for precision in PRECISIONS:
        assert_same(top(case, precision=precision), expected)
    for bfloat16 in (False, True):
        assert_same(top_as_on_a_gpu(case, bfloat16=bfloat16), expected)


def test_int8_products_are_exact_where_they_are_fast() -> None:
    if "AVX" not in torch.backends.cpu.get_cpu_capability():
        assert _products.best_precision() != "int8"
        pytest.skip("no x86 with AVX2: ranking does not use them")
    assert multiplies_int8()  # or this machine's torch has no such product, and ranking takes twice as long


def test_int8_that_overflows_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a CPU that adds two neighbouring products in 16 bits, were there one level more."""
    levels, largest = _products._USER_LEVELS, _products._ZERO + _products._PERSONA_LEVELS
    assert 2 * largest * levels < 2**15 <= 2 * largest * (levels + 1)
    exact = _products._Int8Product.__call__
    most = (
        512 * _products._PERSONA_LEVELS * levels - 1
    )  # of a row of largest numbers, of which one pair would have been cut
    monkeypatch.setattr(_products._Int8Product, "__call__", lambda self, rows: exact(self, rows).clamp(max=most))
    multiplies_int8.cache_clear()
    try:
        assert not multiplies_int8()
        assert _products.best_precision() != "int8"
    finally:
        multiplies_int8.cache_clear()


def test_no_item_is_lost_where_rounding_lengthens_vectors_beyond_what_exponentials_hold() -> None:
    """A component at the top and the others at half a step: rounded, they are far longer, and e**-80 is not the least."""
    d = 8000
    user = np.full(d, 0.5001)
    user[0] = 64.0
    user *= 7.99 / np.linalg.norm(user)  # over the temperature of .1 just below 80
    personas = np.repeat(-user[None] / np.linalg.norm(user), 8, axis=0).astype(np.float32)
    names = np.array([f"B{n}" for n in range(8)])
    item_index = ItemIndex.build(names, personas, dict.fromkeys(names.tolist(), 0.0), TEMPERATURE, "softmax")
    found = [
        top_items(item_index, user[None], [np.empty(0, int)], 10, NO_BOUND, csr_array((1, 8)), precision=precision)
        for precision in PRECISIONS
    ]
    for one in found:
        assert one.items.tolist() == [[*range(8), -1, -1]]


@pytest.mark.parametrize("aggregation", ["softmax", "max"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_smaller_error_bound_would_be_wrong(
    aggregation: str, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the pass gets wrong is brought back by its bound alone: without it, near ties come out in another order."""
    case = replace(make_case("clustered", 3, 64, 90, 10, aggregation), seen=[np.array([], int)] * 64)
    items, _ = brute_force(case)
    assert top(case, precision=precision).items.tolist() == items
    monkeypatch.setattr(_cpu, "error_bound", lambda *arguments: np.zeros(len(arguments[1])))
    monkeypatch.setattr(Products, "errors", lambda self, users: np.zeros(len(users)))
    assert top(case, precision=precision).items.tolist() != items


@pytest.mark.parametrize("aggregation", ["softmax", "max"])
def test_a_smaller_error_bound_would_be_wrong_on_a_gpu(aggregation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = replace(make_case("clustered", 3, 64, 90, 10, aggregation), seen=[np.array([], int)] * 64)
    items, _ = brute_force(case)
    assert top_as_on_a_gpu(case).items.tolist() == items
    monkeypatch.setattr(_gpu, "error_bound", lambda *arguments: np.zeros(len(arguments[1])))
    assert top_as_on_a_gpu(case).items.tolist() != items


@pytest.mark.parametrize("kind", ["random", "clustered", "opposed"])
def test_whole_numbers_are_within_their_error_bound(kind: str) -> None:
    case = make_case(kind, 13, 40, 90, 10, "max")
    users = 3 * case.users  # the bound is not of unit vectors alone
    users[7] = 0
    personas = Personas.of(case.item_index.vectors, "int8", 64)
    products = Products(personas, users, 1.0, 48)
    exact = case.item_index.vectors.astype(float) @ users.T
    chunks = [products(low, min(low + 64, len(exact))).numpy()[:, :40] for low in range(0, len(exact), 64)]
    error = np.abs(np.concatenate(chunks) - exact).max(axis=0)
    bound = products.errors(users) + 1e-6
    assert (error <= bound).all()
    if kind != "opposed":  # whose axes are whole numbers
        assert np.median(bound) < 30 * np.median(error)


@pytest.mark.parametrize("aggregation", ["softmax", "max"])
def test_what_was_expected_of_a_sample_and_did_not_come_is_looked_for_again(
    aggregation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first chunk holds every good item of some users, and those after it none: a bar as high as it is too high."""
    rng = np.random.default_rng(0)
    personas = np.repeat(np.eye(4, dtype=np.float32)[[0, 1]], [40, 960], axis=0)
    personas = _unit(personas + 0.01 * rng.standard_normal(personas.shape)).astype(np.float32)
    names = np.array([f"B{n:05d}" for n in range(1000)])
    item_index = ItemIndex.build(names, personas, dict.fromkeys(names.tolist(), 0.0), TEMPERATURE, aggregation)
    people = _unit(np.array([[1.0, -1, 0, 0], [0, 1, 0, 0], [1, 0.2, 0, 0]]))
    case = Case(item_index, people, [np.empty(0, int)] * 3, 50, csr_array((3, 1000)))
    calls = []
    tile = _cpu._tile

    def spy(request: TopKRequest, *given: Any, **named: Any) -> Any:
        calls.append(len(request.users))
        return tile(request, *given, **named)

    monkeypatch.setattr(_cpu, "_tile", spy)
    with threads(1):
        found = top(case)
    assert found.items.tolist() == brute_force(case)[0]
    assert calls == [3, 2]


def test_where_int8_leaves_too_much_open_float32_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case("clustered", 14, 40, 400, 10, "max")
    used = []
    build = Personas.of

    def spy(vectors: np.ndarray, precision: Precision, at_once: int) -> Personas:
        used.append(precision)
        return build(vectors, precision, at_once)

    monkeypatch.setattr(Personas, "of", spy)
    monkeypatch.setattr(_cpu, "best_precision", lambda: "int8")  # which not every processor has
    monkeypatch.setattr(_plan, "MOST_USERS", 8)
    with threads(1):
        found = top(case)
    assert used == ["int8", "float32"]
    assert_same(found, top(case, precision="int8"))


@pytest.mark.parametrize("temperature", [None, 0.1, 0.005])  # the last beyond what float32 exponentials hold
@pytest.mark.parametrize("bfloat16", [False, True])
def test_first_pass_is_within_its_error_bound(temperature: float | None, bfloat16: bool) -> None:
    made = make_case("random", 10, 40, 90, 10, "max" if temperature is None else "softmax")
    item_index = made.item_index if temperature is None else replace(made.item_index, temperature=temperature)
    # Long vectors, scales and popularity: the bound is not of unit vectors alone.
    users, scales = 3 * made.users, np.linspace(0.5, 40, 40)
    block = Block.of(item_index, 0, 90, "cpu")
    rough = FirstPass(block, 40, temperature, bfloat16).scores(torch.from_numpy(users), torch.from_numpy(scales))
    exact = exact_scores(item_index, users, np.tile(block.items, (40, 1)), scales=scales).scores
    error = np.abs(rough.numpy().T.astype(float) - exact).max(axis=1)
    bound = error_bound(item_index, users, scales, np.zeros(40), block.norm, bfloat16)
    assert (error <= bound).all()
    assert (bound < 200 * error).all()  # and says something


def test_float32_that_is_not_float32_has_the_wider_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    coarse: list[object] = []

    def spy(*arguments: Any) -> np.ndarray:
        coarse.append(arguments[-1])
        return error_bound(*arguments)

    monkeypatch.setattr(_gpu, "error_bound", spy)
    monkeypatch.setattr(_cpu, "error_bound", spy)
    case = make_case("random", 11, 3, 40, 5, "max")
    for precision in ("highest", "high"):
        torch.set_float32_matmul_precision(precision)
        try:
            coarse.append(precision)
            top_as_on_a_gpu(case)
            with threads(1):
                top(case, precision="float32")
        finally:
            torch.set_float32_matmul_precision("highest")
    # On a CPU the second is of the float32 product of what is open, which is numba's.
    assert coarse == ["highest", False, False, False, "high", True, True, False]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["random", "tied", "clustered"]), st.sampled_from(["softmax", "max"]))
def test_candidates_scored_alone_or_within_the_shelf_are_the_same(seed: int, kind: str, aggregation: str) -> None:
    case = make_case(kind, seed, 4, 60, 7, aggregation, prior_scale=0.3)
    rng = np.random.default_rng(seed)
    candidates = [None if n == 2 else rng.integers(0, 60, rng.integers(0, 60)) for n in range(4)]
    scales, (groups, closed) = rng.random(4) * 3, some_groups(seed, 4, 60)
    everything = exact_scores(case.item_index, case.users, np.tile(np.arange(60), (4, 1)), case.prior, scales)
    for short in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "_SHORT", short)
            found = top_items(
                case.item_index, case.users, case.seen, 7, NO_BOUND, case.prior, scales, candidates, groups, closed
            )
        for user, only in enumerate(candidates):
            left = set(range(60) if only is None else only.tolist()) - held(groups, closed[user])
            rank = sorted(
                left - set(case.seen[user].tolist()), key=lambda i: (-round(everything.scores[user, i], 9), i)
            )
            assert found.items[user].tolist() == (rank[:7] + [-1] * 7)[:7]


@pytest.mark.parametrize(
    ("users", "items", "aggregation", "kind", "threads"),
    [(400, 3000, "max", "random", 1), (1500, 20_000, "max", "random", 2), (60, 20_000, "softmax", "tied", 1)],
)
def test_memory_stays_within_the_bound(users: int, items: int, aggregation: str, kind: str, threads: int) -> None:
    """The scores of the second are 450 MB. Ties leave every item of every user open."""
    bound = 24 * 2**20
    assert bound / 20 < peak_memory(users, items, bound, aggregation, kind, threads) <= bound


# Instruction sets oneDNN has other products for, least first, and the flag of a processor that has them.
INSTRUCTIONS = {
    "SSE41": "sse4_1",
    "AVX2": "avx2",
    "AVX2_VNNI": "avx_vnni",
    "AVX512_CORE": "avx512bw",
    "AVX512_CORE_VNNI": "avx512_vnni",
    "AVX512_CORE_BF16": "avx512_bf16",
    "AVX512_CORE_AMX": "amx_int8",
}


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_memory_stays_within_the_least_bound_whatever_the_processor(instructions: str) -> None:
    if INSTRUCTIONS[instructions] not in Path("/proc/cpuinfo").read_text().split():
        pytest.skip(f"this processor has no {instructions}")
    peak = peak_memory(600, 20_000, LEAST_BLOCK_BYTES, "max", "random", 2, ONEDNN_MAX_CPU_ISA=instructions)
    assert peak <= LEAST_BLOCK_BYTES


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_memory_stays_within_the_least_bound_where_int8_is_not_exact(precision: str) -> None:
    peak = peak_memory(600, 20_000, LEAST_BLOCK_BYTES, "max", "random", 2, precision)
    assert peak <= LEAST_BLOCK_BYTES


def peak_memory(
    users: int,
    items: int,
    bound: int,
    aggregation: str,
    kind: str,
    threads: int,
    precision: str = "fastest",
    **environment: str,
) -> int:
    """Bytes that ranking took beside its arguments in a process of its own."""
    done = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name("peak_memory.py"),
            *map(str, (users, items, bound, aggregation, kind, threads, precision)),
        ],
        capture_output=True,
        text=True,
        check=True,
        # Freed memory goes back at once, or it would hide what is allocated next.
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", **environment},
    )
    return int(json.loads(done.stdout))


@pytest.mark.parametrize("block_bytes", [LEAST_BLOCK_BYTES, NO_BOUND])
def test_products_have_few_shapes(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the chunks, blocks and numbers of users: oneDNN keeps 0.3 MB for each shape, until the process ends."""
    shapes = set()
    multiply = _products._Int8Product.__call__

    def spy(self: _products._Int8Product, rows: torch.Tensor) -> torch.Tensor:
        found = multiply(self, rows)
        shapes.add(tuple(found.shape))
        return found

    monkeypatch.setattr(_products._Int8Product, "__call__", spy)
    item_index = make_case("random", 0, 1, 900, 10, "max").item_index
    for users in (1, 2, 17, 40, 100, 333):
        case = replace(make_case("random", users, users, 900, 10, "max", prior_scale=0.3), item_index=item_index)
        with threads(1):
            top(case, block_bytes, "int8")
    assert len({rows for rows, _ in shapes}) == 1
    assert {wide for _, wide in shapes} <= {16, 32, 48, *range(64, 513, 64)}


def test_everything_seen_leaves_no_item() -> None:
    case = make_case("random", 7, 2, 5, 3, "softmax", prior_scale=0.5)
    found = top(replace(case, seen=[np.arange(5), np.array([0, 1, 3])]))
    assert found.items[0].tolist() == [-1, -1, -1]
    assert sorted(found.items[1].tolist()) == [-1, 2, 4]
    assert found.items[1, 2] == -1  # what is missing comes last


def test_ties_go_to_the_earlier_item() -> None:
    same = np.tile(np.eye(4, dtype=np.float32)[0], (100, 1))
    items = np.array([f"B{n:05d}" for n in range(100)])
    item_index = ItemIndex.build(items, same, dict.fromkeys(items.tolist(), 0.0), TEMPERATURE, "softmax")
    found = top_items(item_index, np.eye(4)[:1], [np.array([1, 3])], 5, NO_BOUND, csr_array((1, 100)))
    assert found.items.tolist() == [[0, 2, 4, 5, 6]]
    assert found.scores.tolist() == [[1.0] * 5]


def test_the_prior_lifts_what_the_personas_leave_level() -> None:
    same = np.tile(np.eye(4, dtype=np.float32)[0], (100, 1))
    items = np.array([f"B{n:05d}" for n in range(100)])
    item_index = ItemIndex.build(items, same, dict.fromkeys(items.tolist(), 0.0), TEMPERATURE, "softmax")
    # The first user's prior knows three items, one of them seen; the second's none.
    prior = csr_array(([0.5, 0.25, 9.0], ([0, 0, 0], [99, 50, 7])), shape=(2, 100))
    found = top_items(item_index, np.eye(4)[[0, 0]], [np.array([7]), np.array([], int)], 3, NO_BOUND, prior)
    assert found.items.tolist() == [[99, 50, 0], [0, 1, 2]]
    assert found.prior.tolist() == [[0.5, 0.25, 0], [0, 0, 0]]
    assert found.scores.tolist() == [[1.5, 1.25, 1], [1, 1, 1]]


def some_groups(seed: int, users: int, items: int) -> tuple[csr_array, list[np.ndarray]]:
    """Items in none to three of nine groups, of which some are closed for some users."""
    rng = np.random.default_rng(seed)
    groups = csr_array(rng.random((items, 9)) < 0.15)
    return groups, [rng.choice(9, rng.integers(0, 4), replace=False) for _ in range(users)]


def held(groups: csr_array, closed: np.ndarray) -> set[int]:
    """Items of any of the groups."""
    return set(np.flatnonzero(groups.toarray()[:, closed].any(axis=1)).tolist())


@settings(max_examples=25, deadline=None)
@given(CASES, st.sampled_from([1, 10_000, NO_BOUND]))
def test_items_of_closed_groups_are_left_out_whatever_the_blocks(case: Case, block_bytes: int) -> None:
    users, items = len(case.users), len(case.item_index.item_ids)
    groups, closed = some_groups(items, users, items)
    without = replace(
        case, seen=[np.union1d(seen, [*held(groups, closed[n])]).astype(int) for n, seen in enumerate(case.seen)]
    )
    expected = top(without)
    arguments = (case.item_index, case.users, case.seen, case.k, block_bytes, case.prior)
    assert_same(top_items(*arguments, groups=groups, closed=closed), expected)
    assert_same(top_as_on_a_gpu(case, block_bytes, groups=groups, closed=closed), expected)


def test_only_candidates_that_are_open_and_unseen() -> None:
    case = make_case("random", 8, 4, 40, 40, "softmax", prior_scale=20.0)
    third = csr_array((np.arange(40) % 3 == 0)[:, None])
    candidates = [np.array([5, 4, 3, 2, 2]), None, np.array([], int), np.arange(40)]
    closed = [np.array([0])] * 3 + [np.empty(0, int)]
    found = top_items(case.item_index, case.users, case.seen, 40, NO_BOUND, case.prior, None, candidates, third, closed)
    only = [set(range(40)) if c is None else set(c.tolist()) for c in candidates]
    unseen = [only[user] - held(third, closed[user]) - set(case.seen[user].tolist()) for user in range(4)]
    assert unseen[2] == set()
    everything, _ = brute_force(case)
    assert listed(found.items, found.items) == [
        [item for item in everything[user] if item in unseen[user]] for user in range(4)
    ]
    assert any(len(left) < len(all_of) for left, all_of in zip(unseen, everything, strict=True))


@pytest.mark.parametrize("block_bytes", [1, NO_BOUND])
def test_candidates_stay_with_their_user_whatever_the_blocks(block_bytes: int) -> None:
    case = make_case("tied", 9, 3, 30, 4, "max")
    nothing_seen = replace(case, seen=[np.array([], int)] * 3)
    candidates = [np.array([7]), np.array([29, 11]), None]
    found = top_items(case.item_index, case.users, nothing_seen.seen, 4, block_bytes, case.prior, candidates=candidates)
    assert set(found.items[0].tolist()) == {7, -1}
    assert set(found.items[1].tolist()) == {11, 29, -1}
    assert found.items[2].tolist() == brute_force(nothing_seen)[0][2]
