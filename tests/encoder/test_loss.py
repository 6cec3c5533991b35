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
    """Arguments of the loss: pairs, and the distinct items they are about."""

    users: Tensor
    personas: Tensor
    visible: Tensor
    targets: Tensor
    own_visible: Tensor
    log_q: Tensor
    positives: Tensor

    def loss(self, how: str = "softmax") -> Tensor:
        return in_batch_loss(
            self.users,
            self.personas[self.visible],
            self.visible,
            self.targets,
            self.own_visible,
            self.log_q,
            self.positives,
            TAU,
            how,
        )


def random_batch(seed: int, slots: int = 3, d: int = 4) -> Batch:
    """Seven pairs about four items; the first pair may not see one persona of its item."""
    generator = torch.Generator().manual_seed(seed)

    def unit(*shape: int) -> Tensor:
        rows = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return torch.nn.functional.normalize(rows, dim=-1)

    targets = torch.tensor([0, 1, 2, 3, 1, 1, 0])
    visible = torch.rand(4, slots, generator=generator) < 0.7
    visible[:, :2] = True
    own = visible[targets].clone()
    own[0, 0] = False
    log_q = torch.log(torch.rand(4, generator=generator, dtype=torch.float64) + 0.05)
    positives = torch.rand(7, 4, generator=generator) < 0.3
    return Batch(unit(7, d), unit(4, slots, d), visible, targets, own, log_q, positives)


def by_loops(batch: Batch, how: str) -> float:
    """Every pair against the item of every other pair, one at a time."""

    def logit(row: int, item: int, seen: list[bool]) -> float:
        similar = [float(batch.users[row] @ p) for p, s in zip(batch.personas[item], seen, strict=True) if s]
        score = max(similar)
        if how == "softmax":
            score = TAU * math.log(sum(math.exp(s / TAU) for s in similar) / len(similar))
        return score / TAU - float(batch.log_q[item])

    total, targets = 0.0, batch.targets.tolist()
    for row, target in enumerate(targets):
        own = logit(row, target, batch.own_visible[row].tolist())
        others = [
            logit(row, item, batch.visible[item].tolist())
            for column, item in enumerate(targets)
            if column != row and item != target and not batch.positives[row, item]
        ]
        total += math.log(math.exp(own) + sum(math.exp(other) for other in others)) - own
    return total / len(targets)


@pytest.mark.parametrize("how", ["softmax", "max"])
@pytest.mark.parametrize("seed", range(5))
def test_equals_plain_loops(seed: int, how: str) -> None:
    batch = random_batch(seed)
    assert batch.loss(how).item() == pytest.approx(by_loops(batch, how), abs=1e-6)


def test_other_positives_of_the_user_do_not_count() -> None:
    batch = random_batch(1)
    none = torch.zeros_like(batch.positives)
    one = none.clone()
    one[2, 3] = True
    worse = batch.personas.clone()
    worse[3] = batch.users[2]  # item 3 is exactly what the third user likes: a harsh negative, were it one
    counted, uncounted = (replace(batch, personas=worse, positives=known) for known in (none, one))
    assert uncounted.loss() < counted.loss()
    own = torch.nn.functional.one_hot(batch.targets, 4).bool()
    assert replace(batch, positives=own).loss() == replace(batch, positives=none).loss()  # one's own is never masked


def test_a_persona_hidden_from_its_own_pair_still_serves_the_others() -> None:
    batch = replace(random_batch(3), positives=torch.zeros(7, 4, dtype=torch.bool))
    nearest = batch.personas.clone()
    nearest[0, 0] = batch.users[0]
    hidden = replace(batch, personas=nearest)
    assert hidden.loss() > replace(hidden, own_visible=hidden.visible[hidden.targets]).loss()
    nobody = hidden.visible.clone()
    nobody[0, 0] = False
    assert replace(hidden, visible=nobody).loss() != hidden.loss()


def perfect(size: int = 6) -> Batch:
    axes = torch.eye(size, dtype=torch.float64)
    everything = torch.ones(size, 2, dtype=torch.bool)
    none = torch.zeros(size, size, dtype=torch.bool)
    even = torch.full((size,), -math.log(size), dtype=torch.float64)
    return Batch(axes, torch.stack([axes, axes], dim=1), everything, torch.arange(size), everything, even, none)


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
    batch, head = random_batch(4), Head(4, 0.1).double()
    users, personas = head.users(batch.users), head.personas(batch.personas)
    replace(batch, users=users, personas=personas).loss(how).backward()  # type: ignore[no-untyped-call]
    for parameter in (head.interaction_map, head.persona_map):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 1e-3
