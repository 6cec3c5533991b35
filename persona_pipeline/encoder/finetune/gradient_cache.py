"""Compute the gradient of a whole batch in the memory of a micro-batch (GradCache), over one process or several.

Source: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup" (GradCache). The
texts are encoded in micro-batches without a graph; the loss over all of them gives the gradient of each vector; each
micro-batch is encoded once more, with a graph, and its vectors' gradient is propagated back to the parameters. By the
chain rule the sum is the gradient of the whole batch.

Several processes divide the batch's distinct texts, not its pairs: no text is encoded twice, and the work is even. The
vectors are gathered, every process computes the same loss over all of them, so all negatives are global, and propagates
the gradient of its own texts; the sum over processes is the gradient of one process.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.length_bucketing import within_budget
from persona_pipeline.encoder.finetune.base import Base, Features


def processes() -> tuple[int, int]:
    """Rank of this process, and the number of processes."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


@dataclass(frozen=True, slots=True)
class ProcessTexts:
    """The texts of a batch that one process encodes, of t in all.

    Attributes:
        order: (t,) texts from the longest to the shortest; this process has every `world`-th.
        micro_batches: its texts, in parts that fit into memory.
        sizes: texts in each micro-batch.
        rank: of this process.
        world: number of processes.
    """

    order: Tensor
    micro_batches: list[Features]
    sizes: list[int]
    rank: int
    world: int

    def gathered(self, own: Tensor) -> Tensor:
        """Gather the vectors of all texts, (t, d) in the batch's order, from every process."""
        rows = own
        if self.world > 1:
            padded = own.new_zeros(-(-len(self.order) // self.world), own.shape[1])
            padded[: len(own)] = own
            parts = [torch.empty_like(padded) for _ in range(self.world)]
            dist.all_gather(parts, padded)
            rows = torch.stack(parts, dim=1).flatten(0, 1)[: len(self.order)]
        return torch.empty_like(rows).index_copy_(0, self.order.to(rows.device), rows)

    def own(self, rows: Tensor) -> Tensor:
        """Select from the rows of all texts, (t, d), those of this process in the order of its micro-batches."""
        return rows[self.order[self.rank :: self.world].to(rows.device)]


def texts_of_process(base: Base, texts: Sequence[str], lengths: np.ndarray, budget: int) -> ProcessTexts:
    """The texts this process encodes, tokenised; `lengths` in tokens, (t,). Raises PipelineError if there are too few."""
    rank, world = processes()
    if len(texts) < world:
        raise PipelineError(
            f"a batch of {len(texts)} texts is too small for {world} processes; use fewer, or more pairs"
        )
    order = np.argsort(-lengths, kind="stable")
    mine = order[rank::world]
    ranges = within_budget(lengths[mine].tolist(), budget)
    return ProcessTexts(
        torch.from_numpy(order),
        [base.features([texts[i] for i in mine[start:end]]) for start, end in ranges],
        [end - start for start, end in ranges],
        rank,
        world,
    )


@torch.no_grad()
def encode(base: Base, share: ProcessTexts) -> Tensor:
    """Encode all the batch's texts, (t, d), without a graph and without dropout."""
    dropout = base.model.training
    base.model.eval()
    found = share.gathered(torch.cat([base(features) for features in share.micro_batches]))
    base.model.train(dropout)
    return found


def cached_backward(
    base: Base, temperature: nn.Module, share: ProcessTexts, loss_of: Callable[[Tensor], Tensor]
) -> float:
    """Compute the loss and add its gradients to the parameters of `base` and `temperature`; on every process the whole batch's.

    Args:
        loss_of: from the vectors of all texts, (t, d), to the loss; it may depend on `temperature`.
    """
    states, parts = [], []
    with torch.no_grad():
        for features in share.micro_batches:
            states.append(random_state(base.device))
            parts.append(base(features))
    embeddings = share.gathered(torch.cat(parts)).requires_grad_()
    loss = loss_of(embeddings)
    loss.backward()  # type: ignore[no-untyped-call]
    assert embeddings.grad is not None
    gradients = torch.split(share.own(embeddings.grad), share.sizes)
    for features, state, gradient in zip(share.micro_batches, states, gradients, strict=True):
        restore_random_state(state, base.device)  # the same dropout as in the first pass
        base(features).backward(gradient)
    if share.world > 1:
        for parameter in base.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
        for parameter in temperature.parameters():
            if parameter.grad is not None:
                dist.broadcast(parameter.grad, 0)  # the same everywhere, but for rounding
    return loss.item()


def random_state(device: torch.device) -> list[Tensor]:
    """State of the random generators used by dropout."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def restore_random_state(state: Sequence[Tensor], device: torch.device) -> None:
    """Restore the state of the random generators."""
    torch.set_rng_state(state[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[1], device)
