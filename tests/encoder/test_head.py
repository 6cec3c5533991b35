"""Aggregation over personas, recency weights and the two maps, by hand and by their bounds."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from persona_pipeline.encoder.head import Head, aggregate

SIMILARITIES = arrays.arrays(
    np.float64, arrays.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.floats(-1, 1, width=32)
)
TEMPERATURES = st.sampled_from([0.02, 0.1, 0.5, 2.0])


def all_of(similarities: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(similarities, dtype=torch.bool)


@settings(deadline=None)
@given(SIMILARITIES, TEMPERATURES)
def test_soft_maximum_lies_below_the_maximum_by_at_most_log_n(values: np.ndarray, tau: float) -> None:
    similarities = torch.from_numpy(values)
    soft = aggregate(similarities, all_of(similarities), tau, "softmax")
    largest, count = similarities.amax(-1), similarities.shape[-1]
    assert (soft <= largest + 1e-12).all()
    assert (soft >= largest - tau * math.log(count) - 1e-12).all()
    assert (soft >= similarities.mean(-1) - 1e-12).all()  # and above the mean, by Jensen


@settings(deadline=None)
@given(SIMILARITIES)
def test_max_is_the_maximum(values: np.ndarray) -> None:
    similarities = torch.from_numpy(values)
    assert torch.equal(aggregate(similarities, all_of(similarities), 0.1, "max"), similarities.amax(-1))


def test_soft_maximum_by_hand() -> None:
    similarities = torch.tensor([[0.6, 0.4]], dtype=torch.float64)
    expected = 0.1 * (math.log(math.exp(6) + math.exp(4)) - math.log(2))
    assert aggregate(similarities, all_of(similarities), 0.1, "softmax").item() == pytest.approx(expected, abs=1e-12)


def test_equal_personas_score_like_one() -> None:
    similarities = torch.full((1, 5), 0.3, dtype=torch.float64)
    assert aggregate(similarities, all_of(similarities), 0.1, "softmax").item() == pytest.approx(0.3, abs=1e-12)


@settings(deadline=None)
@given(SIMILARITIES, st.floats(-1, 1), TEMPERATURES, st.sampled_from(["softmax", "max"]))
def test_masked_slots_do_not_count(values: np.ndarray, hidden: float, tau: float, how: str) -> None:
    similarities = torch.from_numpy(values)
    padded = torch.cat([torch.full((len(similarities), 2), hidden, dtype=torch.float64), similarities], dim=1)
    visible = torch.arange(padded.shape[1]) >= 2
    plain = aggregate(similarities, all_of(similarities), tau, how)
    assert torch.allclose(aggregate(padded, visible, tau, how), plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("how", ["softmax", "max"])
def test_masked_slots_get_no_gradient(how: str) -> None:
    similarities = torch.tensor([[0.9, 0.1, 0.2]], requires_grad=True)
    aggregate(similarities, torch.tensor([[False, True, True]]), 0.1, how).sum().backward()  # type: ignore[no-untyped-call]
    assert similarities.grad is not None
    assert similarities.grad.isfinite().all()
    assert similarities.grad[0, 0] == 0
    assert similarities.grad[0, 2] > 0


def test_an_untrained_head_leaves_directions_as_they_are() -> None:
    head = Head(3, 0.1)
    rows = torch.tensor([[3.0, 0.0, 4.0]])
    assert torch.allclose(head.users(rows), torch.tensor([[0.6, 0.0, 0.8]]))
    assert torch.allclose(head.personas(rows), torch.tensor([[0.6, 0.0, 0.8]]))


def test_maps_apply_to_rows_and_normalise() -> None:
    head = Head(2, 0.1)
    with torch.no_grad():
        head.interaction_map.copy_(torch.tensor([[0.0, 1.0], [2.0, 0.0]]))
        head.persona_map.copy_(torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    rows = torch.tensor([[1.0, 0.0]])
    assert torch.allclose(head.users(rows), torch.tensor([[0.0, 1.0]]))  # A h = (0, 2)
    assert torch.allclose(head.personas(torch.tensor([[0.0, 5.0]])), torch.tensor([[-1.0, 0.0]]))
