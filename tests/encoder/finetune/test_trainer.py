"""Training on a task known by construction, interrupted and not, and by two processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_base import ITEMS, TOPICS, WANTS, topical_examples
from torchrun_worker import gradients_and_weights

from persona_pipeline.config import FinetuneConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.encoder.finetune.base import Base
from persona_pipeline.encoder.finetune.objective import Temperature
from persona_pipeline.encoder.finetune.trainer import Finetune

HERE = Path(__file__).parent
CPU = torch.device("cpu")
CONFIG = FinetuneConfig(steps=100, batch_size=32, learning_rate=3e-3, validation_share=0.1, checkpoint_every=3)


def started(base: Path, **changes: object) -> Finetune:
    config = CONFIG.model_copy(update=changes)
    return Finetune(Base(base, 32, CPU, config.dropout), topical_examples(), config, digest="d")


def weights(run: Finetune) -> dict[str, torch.Tensor]:
    return {**run.base.state_dict(), **run.temperature.state_dict()}


@torch.no_grad()
def share_of_right_topics(base: Base) -> float:
    """How often the nearest item of a new user's words is one of the topic's."""
    users = base(base.features([f"the {word} guitar" for word in WANTS]))
    personas = base(base.features([f"{word} strap a very" for word in TOPICS]))
    return float(((users @ personas.T).argmax(1) == torch.arange(len(TOPICS))).double().mean())


def test_a_hundred_steps_learn_which_words_belong_together(tiny_base: Path) -> None:
    run = started(tiny_base, learning_rate=1e-3)
    assert share_of_right_topics(run.base) <= 0.5  # nothing is right by itself
    run.run()
    assert share_of_right_topics(run.base) == 1.0
    first, last = run.losses[0][1], np.mean([loss for _, loss in run.losses[-10:]])
    assert [step for step, _ in run.losses] == list(range(1, 101))
    # Within a topic nothing can be told apart: a quarter of the items are as likely as one's own.
    assert first > np.log(ITEMS) - 0.5
    assert last < np.log(ITEMS / len(TOPICS)) + 0.2
    assert run.validations[0][1] < first - 0.8
    assert 0.02 <= run.tau < 0.1


@pytest.mark.parametrize("dropout", [False, True])
def test_resumed_is_uninterrupted(tiny_base: Path, tmp_path: Path, dropout: bool) -> None:
    settings = {"steps": 6, "validate_every": 2, "dropout": dropout}
    whole = started(tiny_base, **settings)
    whole.run()

    class KilledError(Exception):
        pass

    def killed(_base: Base, _temperature: Temperature) -> float:
        if interrupted.step == 4:
            raise KilledError
        return found(_base, _temperature)

    interrupted = started(tiny_base, **settings)
    assert interrupted.validate
    found, interrupted.validate = interrupted.validate, killed
    with pytest.raises(KilledError):
        interrupted.run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000003"]
    torch.manual_seed(99)
    resumed = started(tiny_base, **settings)
    resumed.run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000006"]
    assert (resumed.losses, resumed.validations) == (whole.losses, whole.validations)
    assert all(torch.equal(ours, weights(whole)[name]) for name, ours in weights(resumed).items())
    assert not torch.equal(
        whole.base.state_dict()[some_matrix(whole)], started(tiny_base).base.state_dict()[some_matrix(whole)]
    )


def some_matrix(run: Finetune) -> str:
    return next(name for name in run.base.state_dict() if "query.weight" in name)


def test_a_checkpoint_of_another_run_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    started(tiny_base, steps=1).run(tmp_path)
    other = started(tiny_base, steps=1)
    other.digest = "e"
    with pytest.raises(PipelineError, match="made with other settings, another base or other data; delete"):
        other.run(tmp_path)


def test_the_best_state_is_kept_once_patience_ends(tiny_base: Path) -> None:
    said: Iterator[float] = iter([0.9, 0.5, 0.7, 0.6, 0.4])
    states = []

    def validate(base: Base, _temperature: Temperature) -> float:
        states.append({name: value.clone() for name, value in base.state_dict().items()})
        return next(said)

    run = Finetune(
        Base(tiny_base, 32, CPU),
        topical_examples(),
        CONFIG.model_copy(update={"steps": 20, "validate_every": 2, "patience": 2}),
        validate=validate,
    )
    run.run()
    assert run.validations == [(2, 0.9), (4, 0.5), (6, 0.7), (8, 0.6)]
    assert all(torch.equal(value, states[1][name]) for name, value in run.base.state_dict().items())


@pytest.mark.parametrize(("direction", "bound"), [(1, 0.05), (-1, 0.2)])
def test_the_temperature_stays_within_its_bounds_and_can_leave_them(direction: int, bound: float) -> None:
    temperature = Temperature(0.1, 0.05, 0.2)
    optimiser = torch.optim.SGD(temperature.parameters(), lr=2.0)

    def step(sign: int) -> float:
        optimiser.zero_grad()
        (sign * temperature()).backward()
        optimiser.step()
        temperature.clamp_()
        return float(temperature().detach())

    assert [step(direction) for _ in range(10)][-1] == pytest.approx(bound)
    assert step(-direction) != pytest.approx(bound)


def test_the_temperature_is_in_the_optimiser_without_decay(tiny_base: Path) -> None:
    run = started(tiny_base)
    (group,) = [g for g in run.optimiser.param_groups if any(p is run.temperature.log_tau for p in g["params"])]
    assert (group["weight_decay"], group["initial_lr"]) == (0.0, CONFIG.temperature_learning_rate)
    grouped = sum(len(g["params"]) for g in run.optimiser.param_groups)
    assert grouped == len([*run.base.parameters(), *run.temperature.parameters()])


@pytest.mark.slow
def test_two_processes_give_loss_gradients_and_weights_of_one(tiny_base: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    worker = HERE.parents[1] / "support" / "torchrun_worker.py"
    subprocess.run(
        [*command, str(worker), str(tiny_base), str(tmp_path)],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(HERE.parents[2]), *sys.path])},
    )
    one = gradients_and_weights(tiny_base, tmp_path / "alone")
    for process in (0, 1):
        two = torch.load(tmp_path / f"process-{process}.pt", weights_only=True)
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-12)
        assert_close(two["gradients"], one["gradients"], 1e-12)
        assert np.allclose(two["losses"], one["losses"], atol=1e-5)
        assert np.allclose(two["validations"], one["validations"], atol=1e-5)
        assert_close(two["weights"], one["weights"], 1e-4)
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    assert sorted(path.name for path in checkpoint.iterdir()) == ["random-0.pt", "random-1.pt", "state.pt"]


def assert_close(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], within: float) -> None:
    assert ours.keys() == theirs.keys()
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < within
