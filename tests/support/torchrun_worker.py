"""What each of torchrun's processes does: one step's gradients, then a few steps. `torchrun torchrun_worker.py BASE OUTPUT`."""

import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from tiny_base import topical_examples

from persona_pipeline.config import FinetuneConfig
from persona_pipeline.encoder.finetune.base import Base
from persona_pipeline.encoder.finetune.trainer import Finetune

CONFIG = FinetuneConfig(
    steps=4, batch_size=32, micro_batch_tokens=200, learning_rate=1e-3, validate_every=2, checkpoint_every=2
)


def gradients_and_weights(base: Path, checkpoints: Path) -> dict[str, Any]:
    """Loss and gradients of the first step in float64; losses, validations and weights of a run."""
    torch.set_num_threads(1)
    precise = Finetune(Base(base, 32, torch.device("cpu")).double(), topical_examples(), CONFIG)
    precise.temperature.double()
    loss = precise.backward(*precise.prepare(0))
    named = {**dict(precise.base.named_parameters()), **dict(precise.temperature.named_parameters())}
    run = Finetune(Base(base, 32, torch.device("cpu")), topical_examples(), CONFIG)
    run.run(checkpoints)
    return {
        "loss": loss,
        "gradients": {name: parameter.grad for name, parameter in named.items() if parameter.grad is not None},
        "losses": run.losses,
        "validations": run.validations,
        "weights": {**run.base.state_dict(), **run.temperature.state_dict()},
    }


if __name__ == "__main__":
    state = PartialState(cpu=True)
    assert state.num_processes == 2
    output = Path(sys.argv[2])
    found = gradients_and_weights(Path(sys.argv[1]), output / "checkpoints")
    torch.save(found, output / f"process-{state.process_index}.pt")
    state.destroy_process_group()
