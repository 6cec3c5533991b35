"""Train the head on training examples: AdamW, cosine decay, a fixed number of steps; seconds on a CPU."""

import logging
import math
from typing import Any

import torch

from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.progress import log_progress
from persona_pipeline.encoder.head import Head
from persona_pipeline.encoder.loss import in_batch_loss
from persona_pipeline.encoder.training_examples import ItemSlots, TrainingExamples

logger = logging.getLogger(__name__)

_LOG_TAU = (math.log(0.02), math.log(1.0))


def train_head(
    examples: TrainingExamples, catalogue: ItemSlots, config: EncodersConfig
) -> tuple[Head, dict[str, float]]:
    """Train the head; returns it with its training metrics. Deterministic for one machine and number of threads.

    `config.heads` heads see batches in another order each, and their weights, and the logarithms of their temperatures,
    are averaged: all start as the identity and stay near it. The mean serves at the price of one head and comes near an
    ensemble (Wortsman et al. 2022, "Model soups"; on Musical Instruments' validation NDCG@10 .120 for one of five, .121
    for their mean, .122 for the ensemble).
    """
    trained = [_train_one(examples, catalogue, config, config.seed + n) for n in range(config.heads)]
    with torch.no_grad():
        mean = Head(catalogue.embeddings.shape[1], config.temperature)
        for name, parameter in mean.named_parameters():
            parameter.copy_(torch.stack([dict(head.named_parameters())[name] for head, _ in trained]).mean(0))
    losses = trained[0][1]
    figures = {"temperature": mean.temperature, "label_agreement": _label_agreement(mean, examples, catalogue)}
    return mean, {**_ends(losses), **figures}


def _train_one(
    examples: TrainingExamples, catalogue: ItemSlots, config: EncodersConfig, seed: int
) -> tuple[Head, list[float]]:
    """Train one head; returns it with its loss at every step."""
    head = Head(catalogue.embeddings.shape[1], config.temperature)
    maps: dict[str, Any] = {"params": [head.interaction_map, head.persona_map]}
    tau: dict[str, Any] = {"params": [head.log_tau], "lr": config.temperature_learning_rate, "weight_decay": 0.0}
    optimiser = torch.optim.AdamW([maps, tau], lr=config.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(config.steps, 1))
    order = torch.Generator().manual_seed(seed)
    # Of all pairs alike, though old ones are drawn less: counting by how often they are drawn made no difference.
    log_q = torch.log(torch.bincount(examples.targets, minlength=len(catalogue.item_ids)) / len(examples))
    known = _keys(examples.users, examples.targets, catalogue).sort().values
    losses: list[float] = []
    for step in range(config.steps):
        rows = torch.multinomial(examples.weights, min(config.batch_size, len(examples)), generator=order)
        items, targets = torch.unique(examples.targets[rows], return_inverse=True)
        filled = catalogue.filled[items]
        pairs = _keys(examples.users[rows][:, None], items[None, :], catalogue)
        loss = in_batch_loss(
            # Dividing the users is dividing every similarity: the temperature of the formula is then one.
            head.users(examples.profiles[rows]) / head.log_tau.exp(),
            head.personas(catalogue.embeddings[catalogue.slots[items][filled]]),
            filled,
            targets,
            examples.visible[rows],
            log_q[items],
            known[torch.searchsorted(known, pairs).clamp_(max=len(known) - 1)] == pairs,
            1.0,
            config.aggregation,
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            head.log_tau.clamp_(*_LOG_TAU)
        losses.append(loss.item())
        if step % 25 == 0:
            text = "step %d of %d: loss %.3f"
            log_progress(logger, text, step, config.steps, losses[-1], done=step, of=config.steps)
    return head, losses


def _keys(users: torch.Tensor, items: torch.Tensor, catalogue: ItemSlots) -> torch.Tensor:
    """Encode each (user, item) as one number."""
    return users * len(catalogue.item_ids) + items


def _ends(losses: list[float]) -> dict[str, float]:
    return {"first_loss": losses[0], "last_loss": losses[-1]} if losses else {}


@torch.inference_mode()
def _label_agreement(head: Head, examples: TrainingExamples, catalogue: ItemSlots) -> float:
    """Share of pairs whose nearest visible persona of the target is the labelled one."""
    agreed = 0
    for rows in torch.split(torch.arange(len(examples)), 4096):
        slots = catalogue.slots[examples.targets[rows]]
        users = head.users(examples.profiles[rows])
        similarities = torch.einsum("bd,bsd->bs", users, head.personas(catalogue.embeddings[slots]))
        winner = similarities.masked_fill(~examples.visible[rows], -torch.inf).argmax(1, keepdim=True)
        agreed += int((slots.gather(1, winner).squeeze(1) == examples.labels[rows]).sum())
    return agreed / max(len(examples), 1)
