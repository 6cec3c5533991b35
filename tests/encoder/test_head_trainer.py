"""Known by construction: two tribes whose likes and personas are the same up to a rotation the head must find."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.head import Head, aggregate
from persona_pipeline.encoder.head_trainer import train_head
from persona_pipeline.encoder.training_examples import ItemSlots, TrainingExamples

D, ITEMS, USERS = 8, 16, 120
ROTATION = np.linalg.qr(np.random.default_rng(11).standard_normal((D, D)))[0]
CONFIG = EncodersConfig(steps=60, batch_size=64, learning_rate=2e-2)


def catalogue() -> ItemSlots:
    """Even items are for the first tribe, odd ones for the second; personas live in a rotated space."""
    rng = np.random.default_rng(1)
    axes = np.eye(D)[np.arange(ITEMS) % 2]
    embeddings = np.repeat(axes @ ROTATION.T, 2, axis=0) + 0.02 * rng.standard_normal((2 * ITEMS, D))
    items = np.repeat([f"item-{n:02d}" for n in range(ITEMS)], 2)
    ids = np.array([f"{item}-{n % 2}" for n, item in enumerate(items)])
    return ItemSlots.build(ids, items, embeddings.astype(np.float32))


def examples() -> TrainingExamples:
    rng = np.random.default_rng(2)
    tribe = np.arange(USERS) % 2
    profiles = np.eye(D)[tribe] + 0.05 * rng.standard_normal((USERS, D))
    targets = 2 * rng.integers(0, ITEMS // 2, USERS) + tribe
    return TrainingExamples(
        torch.from_numpy(profiles.astype(np.float32)),
        torch.from_numpy(targets),
        torch.from_numpy(2 * targets),
        torch.ones(USERS, 2, dtype=torch.bool),
        torch.arange(USERS),
        torch.ones(USERS),
    )


@torch.no_grad()
def share_of_right_items(head: Head) -> float:
    """How often one of the tribe's items ranks first for a new user."""
    tribe = torch.arange(40) % 2
    users = head.users(torch.eye(D)[tribe])
    item_index = catalogue()
    similarities = torch.einsum("ud,isd->uis", users, head.personas(item_index.embeddings)[item_index.slots])
    first = aggregate(similarities, item_index.filled, CONFIG.temperature, CONFIG.aggregation).argmax(1)
    return float((first % 2 == tribe).double().mean())


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices this small only suffer from more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained() -> tuple[Head, dict[str, float]]:
    return train_head(examples(), catalogue(), CONFIG)


def test_training_finds_the_rotation(trained: tuple[Head, dict[str, float]]) -> None:
    head, metrics = trained
    assert share_of_right_items(head) == 1.0
    assert share_of_right_items(Head(D, 0.1)) <= 0.5  # nothing is right by itself
    assert metrics["last_loss"] < metrics["first_loss"] - 0.3
    # Within a tribe nothing can be told apart: at best, half the batch are targets as likely as one's own.
    assert metrics["last_loss"] < np.log(1 + CONFIG.batch_size / 2) + 0.1


def test_training_is_deterministic(trained: tuple[Head, dict[str, float]]) -> None:
    again, metrics = train_head(examples(), catalogue(), CONFIG)
    assert metrics == trained[1]
    for ours, theirs in zip(again.parameters(), trained[0].parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_seed_decides_the_batches(trained: tuple[Head, dict[str, float]]) -> None:
    other, _ = train_head(examples(), catalogue(), CONFIG.model_copy(update={"seed": 1}))
    assert not torch.equal(other.persona_map, trained[0].persona_map)


def test_heads_are_averaged(trained: tuple[Head, dict[str, float]]) -> None:
    """Each head is what its seed alone would give; their mean is none of them."""
    alone = [
        train_head(examples(), catalogue(), CONFIG.model_copy(update={"heads": 1, "seed": n}))[0] for n in range(3)
    ]
    assert CONFIG.heads == 3
    for name, parameter in trained[0].named_parameters():
        singles = torch.stack([dict(head.named_parameters())[name] for head in alone])
        assert not torch.equal(singles[0], singles[1])
        assert torch.allclose(parameter, singles.mean(0), atol=1e-7)


def test_what_has_faded_teaches_nothing() -> None:
    """The second half of the pairs is of no weight: as if it said the opposite, or nothing at all."""
    taught = examples()
    weights = (torch.arange(USERS) < USERS // 2).float()
    config = CONFIG.model_copy(update={"heads": 1, "batch_size": USERS // 2, "steps": 5})
    maps = []
    for opposite in (False, True):
        profiles = taught.profiles.clone()
        if opposite:
            profiles[USERS // 2 :] *= -1
        head, _ = train_head(replace(taught, weights=weights, profiles=profiles), catalogue(), config)
        maps.append(head.interaction_map)
    assert torch.equal(*maps)
    head, _ = train_head(replace(taught, profiles=profiles), catalogue(), config)
    assert not torch.equal(head.interaction_map, maps[0])  # with weight, it would


def test_no_steps_leave_the_identity() -> None:
    head, metrics = train_head(examples(), catalogue(), CONFIG.model_copy(update={"steps": 0}))
    assert torch.equal(head.interaction_map, torch.eye(D))
    assert set(metrics) == {"label_agreement", "temperature"}


def test_label_agreement_counts_the_nearest_visible_persona() -> None:
    axes = np.eye(2, dtype=np.float32)
    item_index = ItemSlots.build(np.array(["strap-a", "strap-b"]), np.array(["strap", "strap"]), axes)
    taught = TrainingExamples(
        torch.from_numpy(axes[[0, 0, 1, 0]]),
        torch.zeros(4, dtype=torch.long),
        torch.tensor([0, 1, 1, 1]),
        torch.tensor([[True, True], [True, True], [True, True], [False, True]]),
        torch.arange(4),
        torch.ones(4),
    )
    _, metrics = train_head(taught, item_index, CONFIG.model_copy(update={"steps": 0}))
    assert metrics["label_agreement"] == 0.75  # the second pair is nearer to the other persona


def test_the_temperature_is_learned_unless_told_otherwise(trained: tuple[Head, dict[str, float]]) -> None:
    head, metrics = trained
    assert metrics["temperature"] == head.temperature != pytest.approx(CONFIG.temperature, abs=1e-3)
    stays, _ = train_head(examples(), catalogue(), CONFIG.model_copy(update={"temperature_learning_rate": 0.0}))
    assert stays.temperature == pytest.approx(CONFIG.temperature)
