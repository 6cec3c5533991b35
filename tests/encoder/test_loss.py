"""The in-batch loss against two plain loops, and what it must not look at."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from persona_pipeline.encoder.head import Head
from persona_pipeline.encoder.loss import in_batch_loss

TAU = 0.2


@dataclass(frozen=True)
class Batch:
    """Arguments of the loss."""

    users: Tensor
    personas: Tensor
    visible: Tensor
    own_visible: Tensor
    log_q: Tensor
    positives: Tensor

    def loss(self, how: str = "softmax") -> Tensor:
        return in_batch_loss(
            self.users, self.personas, self.visible, self.own_visible, self.log_q, self.positives, TAU, how
        )


def random_batch(seed: int, size: int = 5, slots: int = 3, d: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def unit(*shape: int) -> Tensor:
        rows = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return torch.nn.functional.normalize(rows, dim=-1)

    visible = torch.rand(size, slots, generator=generator) < 0.7
    visible[:, 0] = True
    own = visible.clone()
    own[0, 0], own[0, 1], visible[0, 1] = False, True, True
    log_q = torch.log(torch.rand(size, generator=generator, dtype=torch.float64) + 0.05)
    return Batch(
        unit(size, d), unit(size, slots, d), visible, own, log_q, torch.rand(size, size, generator=generator) < 0.3
    )


def by_loops(batch: Batch, how: str) -> float:
    total = 0.0
    size = len(batch.users)
    for row in range(size):
        logits = []
        for column in range(size):
            if row != column and batch.positives[row, column]:
                continue
            seen = (batch.own_visible if row == column else batch.visible)[column].tolist()
            similar = [float(batch.users[row] @ p) for p, s in zip(batch.personas[column], seen, strict=True) if s]
            score = max(similar)
            if how == "softmax":
                score = TAU * math.log(sum(math.exp(s / TAU) for s in similar) / len(similar))
            logits.append((score / TAU - float(batch.log_q[column]), row == column))
        total += math.log(sum(math.exp(logit) for logit, _ in logits)) - next(logit for logit, own in logits if own)
    return total / size


@pytest.mark.parametrize("how", ["softmax", "max"])
@pytest.mark.parametrize("seed", range(5))
def test_equals_plain_loops(seed: int, how: str) -> None:
    batch = random_batch(seed)
    assert batch.loss(how).item() == pytest.approx(by_loops(batch, how), abs=1e-10)


def test_other_positives_of_the_user_do_not_count() -> None:
    batch = replace(random_batch(1), positives=torch.zeros(5, 5, dtype=torch.bool))
    masked = batch.positives.clone()
    masked[2, 4] = True
    worse = batch.personas.clone()
    worse[4] = batch.users[2]  # item 4 is exactly what user 2 likes: a harsh negative, were it one
    counted, uncounted = replace(batch, personas=worse), replace(batch, personas=worse, positives=masked)
    assert uncounted.loss() < counted.loss()
    own = torch.eye(5, dtype=torch.bool)
    assert replace(batch, positives=own).loss() == batch.loss()  # a user's own target is never masked


def test_a_persona_hidden_from_its_own_pair_still_serves_the_others() -> None:
    batch = random_batch(3)
    assert (batch.visible[0] != batch.own_visible[0]).any()
    assert replace(batch, own_visible=batch.visible).loss() != batch.loss()
    both = replace(batch, visible=batch.own_visible)
    assert both.loss() != batch.loss()


def perfect(size: int = 6) -> Batch:
    axes = torch.eye(size, dtype=torch.float64)
    everything = torch.ones(size, 2, dtype=torch.bool)
    none = torch.zeros(size, size, dtype=torch.bool)
    even = torch.full((size,), -math.log(size), dtype=torch.float64)
    return Batch(axes, torch.stack([axes, axes], dim=1), everything, everything, even, none)


def test_perfect_separation_gives_a_small_loss_and_confusion_a_large_one() -> None:
    batch = perfect()
    assert batch.loss().item() == pytest.approx(math.log(1 + 5 * math.exp(-1 / TAU)), abs=1e-10)
    confused = replace(batch, users=batch.users.roll(1, 0))
    assert confused.loss() > 1 / TAU - 0.1
    blind = replace(batch, users=torch.full_like(batch.users, 1 / math.sqrt(6)))
    assert blind.loss().item() == pytest.approx(math.log(6), abs=1e-10)


def test_popular_targets_are_corrected() -> None:
    """A frequent target is a frequent negative; its logit is lowered by log q, so a rare one gains against it."""
    batch = perfect()
    skewed = batch.log_q.clone()
    skewed[0] = math.log(0.9)
    corrected = replace(batch, users=torch.full_like(batch.users, 1 / math.sqrt(6)), log_q=skewed)
    shares = torch.softmax(-skewed, 0)
    assert corrected.loss().item() == pytest.approx(float(-torch.log(shares).mean()), abs=1e-10)


@pytest.mark.parametrize("how", ["softmax", "max"])
def test_gradient_reaches_both_maps(how: str) -> None:
    batch, head = random_batch(4), Head(4).double()
    users, personas = head.users(batch.users), head.personas(batch.personas)
    replace(batch, users=users, personas=personas).loss(how).backward()  # type: ignore[no-untyped-call]
    for parameter in head.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 1e-3
