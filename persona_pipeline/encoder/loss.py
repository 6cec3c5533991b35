"""Compute the head's loss: in-batch softmax with popularity correction (logQ), over item scores aggregated from personas.

Source: Yi et al. 2019, "Sampling-bias-corrected neural modeling for large corpus item recommendations". An item that
several pairs of the batch share is scored once and weighs as many times: the same loss as over pairs, at the cost of
distinct items.
"""

import torch
from torch import Tensor

from persona_pipeline.encoder.head import aggregate


def in_batch_loss(
    users: Tensor,
    personas: Tensor,
    visible: Tensor,
    targets: Tensor,
    own_visible: Tensor,
    log_q: Tensor,
    positives: Tensor,
    temperature: float,
    how: str,
) -> Tensor:
    """Mean cross-entropy of each pair's target item among the batch's items.

    Args:
        users: (batch, d) unit vectors.
        personas: (items, slots, d) unit vectors of the batch's distinct target items.
        visible: (items, slots) filled slots.
        targets: (batch,) row of each pair's item in `personas`.
        own_visible: (batch, slots) filled slots of the target item, without the personas masked for the pair.
        log_q: (items,) log of the share of all pairs that have this target.
        positives: (batch, items) True where the item is a known positive of the pair's user; the target may be among them.
        temperature: tau, of the aggregation and of the softmax.
        how: aggregation, `softmax` or `max`.
    """
    similarities = torch.einsum("bd,isd->bis", users, personas)  # (batch, items, slots)
    times = torch.bincount(targets, minlength=len(personas))
    logits = aggregate(similarities, visible, temperature, how) / temperature - log_q + torch.log(times)
    own = similarities[torch.arange(len(users)), targets]  # (batch, slots)
    own_logits = aggregate(own, own_visible, temperature, how) / temperature - log_q[targets]
    logits = logits.masked_fill(positives, -torch.inf).scatter(1, targets[:, None], own_logits[:, None])
    return torch.nn.functional.cross_entropy(logits, targets)
