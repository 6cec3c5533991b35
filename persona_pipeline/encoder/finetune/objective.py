"""From the texts' vectors to the loss, and the temperature it learns.

The head's loss (`encoder.loss`), with u = norm(sum_i w_i f(text_i)) over the history and f(text) itself for a persona.
"""

import math

import torch
from torch import Tensor, nn

from persona_pipeline.encoder.finetune.batches import Batch
from persona_pipeline.encoder.loss import in_batch_loss


class Temperature(nn.Module):
    """Tau, learned as its logarithm.

    The bounds are kept by `clamp_` after each step, not by the function's shape: a tau at a bound still has a gradient to
    leave it by.
    """

    def __init__(self, value: float, lowest: float, highest: float) -> None:
        super().__init__()
        self.log_tau = nn.Parameter(torch.tensor(math.log(value)))
        self.bounds = (math.log(lowest), math.log(highest))

    def forward(self) -> Tensor:
        """Tau, a scalar."""
        return self.log_tau.exp()

    @torch.no_grad()
    def clamp_(self) -> None:
        """Back within the bounds."""
        self.log_tau.clamp_(*self.bounds)


def batch_loss(embeddings: Tensor, batch: Batch, tau: Tensor, aggregation: str) -> Tensor:
    """Mean loss of a batch's pairs from the unit vectors of its texts, (t, d)."""
    profiles = nn.functional.embedding_bag(
        batch.members,
        embeddings,
        batch.offsets,
        mode="sum",
        per_sample_weights=batch.weights.to(embeddings.dtype),
    )
    users = nn.functional.normalize(profiles, dim=-1)
    # Dividing the users is dividing every similarity: the temperature of the formula is then one.
    return in_batch_loss(
        users / tau,
        embeddings[batch.personas],
        batch.filled,
        batch.targets,
        batch.visible,
        batch.log_q,
        batch.no_negative,
        1.0,
        aggregation,
    )
