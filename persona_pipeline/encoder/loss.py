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
        personas: (personas, d) unit vectors of the batch's distinct target items, one item's after the other's, none of padding.
        visible: (items, slots) filled slots, as many as there are personas.
        targets: (batch,) row of each pair's item in `visible`.
        own_visible: (batch, slots) filled slots of the target item, without the personas masked for the pair.
        log_q: (items,) log of the share of all pairs that have this target.
        positives: (batch, items) True where the item is a known positive of the pair's user; the target may be among them.
        temperature: tau, of the aggregation and of the softmax.
        how: aggregation, `softmax` or `max`.
    """
    similarities = personas @ users.T  # (personas, batch)
    times = torch.bincount(targets, minlength=len(visible))
    logits = _of_items(similarities, visible.sum(1), temperature, how) / temperature - log_q + torch.log(times)
    rows = (torch.cumsum(visible.flatten(), 0) - 1).reshape(visible.shape)[targets].clamp(min=0)  # (batch, slots)
    own = similarities[rows, torch.arange(len(users), device=rows.device)[:, None]]
    own_logits = aggregate(own, own_visible, temperature, how) / temperature - log_q[targets]
    logits = logits.masked_fill(positives, -torch.inf).scatter(1, targets[:, None], own_logits[:, None])
    return torch.nn.functional.cross_entropy(logits, targets)


def _of_items(similarities: Tensor, counts: Tensor, temperature: float, how: str) -> Tensor:
    """`aggregate` without padding: (personas, batch) similarities, so many to each item, to (batch, items) scores.

    Most items have few of the personas the largest has: what is padded would be most of the work.
    """
    if how == "max":
        return torch.segment_reduce(similarities, "max", lengths=counts, axis=0).T
    scaled = similarities / temperature
    most = scaled.detach().amax(0)
    sums = torch.segment_reduce((scaled - most).exp(), "sum", lengths=counts, axis=0)
    # A sum that is nothing beside the user's largest has no gradient, and no logarithm.
    logs = sums.clamp(min=torch.finfo(sums.dtype).tiny).log() + most - counts[:, None].to(sums.dtype).log()
    return temperature * logs.T
