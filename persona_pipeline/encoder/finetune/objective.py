"""Compute the fine-tune's loss from the vectors of a batch's texts, with a learned temperature.

The head's loss (`encoder.loss`) on the representations of serving, without a head: an item embedding is norm(mean
f(text)), over a few of its evidence reviews where serving takes all (`encoder.item_embeddings`); a user is norm(sum_i
w_i item_i) over the history, a persona norm(item + weight * f(text)). All is linear in f but for the norms, which come
after the encoding.
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
        """Clip log tau to its bounds."""
        self.log_tau.clamp_(*self.bounds)


def represented(embeddings: Tensor, batch: Batch, persona_weight: float) -> tuple[Tensor, Tensor]:
    """Compute unit vectors of the pairs' users (b, d) and of the batch's personas (i, s, d) from those of its texts (t, d)."""
    normalize, embedding_bag = nn.functional.normalize, nn.functional.embedding_bag
    profiles = normalize(
        embedding_bag(batch.evidence, embeddings, batch.evidence_offsets, mode="mean"), dim=-1
    )  # (q, d)
    weights = batch.weights.to(profiles.dtype)
    users = embedding_bag(batch.members, profiles, batch.offsets, mode="sum", per_sample_weights=weights)
    personas = profiles[batch.items][:, None] + persona_weight * embeddings[batch.personas]
    return normalize(users, dim=-1), normalize(personas, dim=-1)


def batch_loss(embeddings: Tensor, batch: Batch, tau: Tensor, persona_weight: float, aggregation: str) -> Tensor:
    """Mean loss of a batch's pairs from the unit vectors of its texts, (t, d)."""
    users, personas = represented(embeddings, batch, persona_weight)
    # Dividing the users is dividing every similarity: the temperature of the formula is then one.
    return in_batch_loss(
        users / tau,
        personas[batch.filled],
        batch.filled,
        batch.targets,
        batch.visible,
        batch.log_q,
        batch.no_negative,
        1.0,
        aggregation,
    )
