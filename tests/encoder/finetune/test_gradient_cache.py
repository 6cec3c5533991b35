"""Gradient caching against the plain gradient of the whole batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_base import topical_examples
from torch import Tensor

from persona_pipeline.encoder.finetune.base import Base
from persona_pipeline.encoder.finetune.batches import Batch, make_batch
from persona_pipeline.encoder.finetune.examples import Examples
from persona_pipeline.encoder.finetune.gradient_cache import cached_backward, texts_of_process
from persona_pipeline.encoder.finetune.objective import Temperature, batch_loss

Found = tuple[float, dict[str, Tensor]]
ROWS = np.arange(40)


def made(examples: Examples, rows: np.ndarray = ROWS, near_duplicate: float = 0.95) -> tuple[np.ndarray, Batch]:
    return make_batch(examples, rows, near_duplicate, 2, np.random.default_rng(5))


def gradients(base: Base, temperature: Temperature) -> dict[str, Tensor]:
    named = {**dict(base.named_parameters()), **dict(temperature.named_parameters())}
    return {name: parameter.grad for name, parameter in named.items() if parameter.grad is not None}


def whole(base: Base, examples: Examples, aggregation: str, weights: Tensor | None = None) -> Found:
    """One forward pass over all texts and one backward pass."""
    texts, batch = made(examples)
    if weights is not None:
        batch.weights.copy_(weights)
    temperature = Temperature(0.1, 0.02, 0.5).double()
    base.zero_grad()
    embeddings = base(base.features([examples.texts[text] for text in texts]))
    loss = batch_loss(embeddings, batch, temperature(), 0.5, aggregation)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), {name: gradient.clone() for name, gradient in gradients(base, temperature).items()}


def cached(base: Base, examples: Examples, aggregation: str, budget: int) -> tuple[Found, int]:
    texts, batch = made(examples)
    found = [examples.texts[text] for text in texts]
    temperature = Temperature(0.1, 0.02, 0.5).double()
    base.zero_grad()
    share = texts_of_process(base, found, base.token_counts(found), budget)
    loss = cached_backward(
        base, temperature, share, lambda embeddings: batch_loss(embeddings, batch, temperature(), 0.5, aggregation)
    )
    return (loss, gradients(base, temperature)), len(share.micro_batches)


def largest_difference(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> Base:
    return Base(tiny_base, 32, torch.device("cpu")).double()


@pytest.mark.parametrize("aggregation", ["softmax", "max"])
@pytest.mark.parametrize("budget", [1, 60, 10_000])
def test_loss_and_gradients_are_those_of_the_whole_batch(base: Base, budget: int, aggregation: str) -> None:
    examples = topical_examples()
    loss, expected = whole(base, examples, aggregation)
    (ours, found), parts = cached(base, examples, aggregation, budget)
    texts = len(made(examples)[0])
    assert {1: parts == texts, 60: 5 < parts < texts, 10_000: parts == 1}[budget]
    assert ours == pytest.approx(loss, abs=1e-12)
    assert largest_difference(found, expected) < 1e-12
    assert "log_tau" in found
    assert max(float(gradient.abs().max()) for gradient in expected.values()) > 1e-3


def test_the_comparison_sees_a_changed_weight(base: Base) -> None:
    examples = topical_examples()
    (_, found), _ = cached(base, examples, "softmax", 60)
    _, batch = made(examples)
    of_two = int(torch.argmin(batch.weights))  # in a history of one, the weight does not matter
    _, other = whole(base, examples, "softmax", batch.weights.clone().index_fill_(0, torch.tensor([of_two]), 0.4))
    assert largest_difference(found, other) > 1e-5


def test_dropout_is_the_same_in_both_passes(tiny_base: Path) -> None:
    """The cached gradient equals the plain one of the same parts with the same draws."""
    base = Base(tiny_base, 32, torch.device("cpu"), dropout=True).double()
    examples = topical_examples()
    texts, batch = made(examples)
    found = [examples.texts[text] for text in texts]
    temperature = Temperature(0.1, 0.02, 0.5).double()
    share = texts_of_process(base, found, base.token_counts(found), 60)
    torch.manual_seed(5)
    embeddings = share.gathered(torch.cat([base(features) for features in share.micro_batches]))
    batch_loss(embeddings, batch, temperature(), 0.5, "softmax").backward()  # type: ignore[no-untyped-call]
    expected = {name: gradient.clone() for name, gradient in gradients(base, temperature).items()}
    for seed, same in ((5, True), (6, False)):
        base.zero_grad()
        temperature.zero_grad()
        torch.manual_seed(seed)
        cached_backward(base, temperature, share, lambda e: batch_loss(e, batch, temperature(), 0.5, "softmax"))
        assert (largest_difference(gradients(base, temperature), expected) < 1e-12) is same


def test_it_is_the_heads_loss(base: Base) -> None:
    """Two pairs, one known formula: the own item's logit against the other's, from profiles of two reviews at most."""
    examples = topical_examples()
    rows = np.array([0, int(np.flatnonzero(examples.targets % 4 != examples.targets[0] % 4)[0])])
    texts, batch = made(examples, rows, 1.0)

    def unit(vector: Tensor) -> Tensor:
        return torch.nn.functional.normalize(vector, dim=-1)

    with torch.no_grad():
        e = base(base.features([examples.texts[text] for text in texts]))
        tau = 0.2
        ends = [*batch.evidence_offsets.tolist()[1:], len(batch.evidence)]
        drawn = [batch.evidence[start:end] for start, end in zip(batch.evidence_offsets, ends, strict=True)]
        assert max(len(of_item) for of_item in drawn) == 2
        profiles = torch.stack([unit(e[of_item].mean(0)) for of_item in drawn])
        logits = torch.empty(2, 2, dtype=torch.float64)
        second = int(batch.offsets[1])
        for pair, members in enumerate([slice(second), slice(second, None)]):
            user = unit((batch.weights[members, None] * profiles[batch.members[members]]).sum(0))
            for item in range(2):
                told = e[batch.personas[item][batch.filled[item]]]
                similarities = unit(profiles[batch.items[item]] + 0.5 * told) @ user
                logits[pair, item] = torch.exp(similarities / tau).mean().log() - batch.log_q[item]
        expected = (torch.logsumexp(logits, 1) - logits[torch.arange(2), batch.targets]).mean()
        assert batch_loss(e, batch, torch.tensor(tau, dtype=torch.float64), 0.5, "softmax") == pytest.approx(
            float(expected), abs=1e-9
        )
