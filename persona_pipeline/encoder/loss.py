"""In-batch softmax with popularity correction: the target's item against the items of the other pairs.

Source: Yi et al. 2019, "Sampling-bias-corrected neural modeling for large corpus item recommendations" (logQ), applied
to item scores aggregated over personas.
"""

import torch
from torch import Tensor

from persona_pipeline.encoder.head import aggregate


def in_batch_loss(
    users: Tensor,
    personas: Tensor,
    visible: Tensor,
    own_visible: Tensor,
    log_q: Tensor,
    positives: Tensor,
    temperature: float,
    how: str,
) -> Tensor:
    """Mean cross-entropy of each pair's own item among the batch's items.

    Args:
        users: (batch, d) unit vectors.
        personas: (batch, slots, d) unit vectors of each pair's target item.
        visible: (batch, slots) filled slots of each target, as the other pairs see it.
        own_visible: (batch, slots) the same without the personas hidden from the pair itself.
        log_q: (batch,) log of the share of pairs that have this target.
        positives: (batch, batch) True where column's item is another known positive of row's user, or its own target again.
        temperature: tau, of the aggregation and of the softmax.
        how: aggregation, `softmax` or `max`.
    """
    similarities = torch.einsum("bd,isd->bis", users, personas)  # (batch, items, slots)
    own = torch.eye(len(users), dtype=torch.bool)
    seen = torch.where(own[:, :, None], own_visible[None], visible[None])
    logits = aggregate(similarities, seen, temperature, how) / temperature - log_q
    logits = logits.masked_fill(positives & ~own, -torch.inf)
    return torch.nn.functional.cross_entropy(logits, torch.arange(len(users)))
