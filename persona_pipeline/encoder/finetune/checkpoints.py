"""Save and load checkpoints of a fine-tune: folders `step-000200`, written atomically; the newest is kept.

`state.pt` is the state common to all processes, `random-<rank>.pt` the random generators of each.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.encoder.finetune.gradient_cache import processes

State = dict[str, Any]


def save_checkpoint(folder: Path, step: int, state: State, random: Sequence[Tensor]) -> None:
    """Write a checkpoint, every process its part, and delete older checkpoints."""
    rank, world = processes()
    partial = folder / f".step-{step:06d}"
    if rank == 0:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        torch.save(state, partial / "state.pt")
    _wait(world)
    torch.save(list(random), partial / f"random-{rank}.pt")
    _wait(world)
    if rank == 0:
        older = list(folder.glob("step-*"))
        partial.rename(folder / f"step-{step:06d}")
        for found in older:
            shutil.rmtree(found)
    _wait(world)


def load_checkpoint(folder: Path, digest: str) -> tuple[State, list[Tensor] | None] | None:
    """Load the newest checkpoint and this process's generators; None where there is no checkpoint.

    The generators are None where the run had fewer processes. Raises PipelineError where the checkpoint is of another
    run: `digest` identifies settings, base and data.
    """
    found = sorted(folder.glob("step-*"))
    if not found:
        return None
    state = torch.load(found[-1] / "state.pt", map_location="cpu", weights_only=True)
    if state["digest"] != digest:
        raise PipelineError(
            f"{found[-1]} was made with other settings, another base or other data; delete {folder} to begin anew, "
            "or choose another output"
        )
    random = found[-1] / f"random-{processes()[0]}.pt"
    return state, torch.load(random, weights_only=True) if random.is_file() else None


def _wait(world: int) -> None:
    if world > 1:
        dist.barrier()
