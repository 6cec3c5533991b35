"""Pairs to batches: each distinct text once, each distinct item once, and who is no negative of whom."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor

from persona_pipeline.encoder.finetune.examples import Examples


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch over t distinct texts, b pairs and i distinct items of at most s personas.

    Attributes:
        members: (h,) text of each interaction, the pairs' histories one after the other.
        offsets: (b,) where each pair's begin.
        weights: (h,) their recency weights.
        personas: (i, s) text of each persona.
        filled: (i, s) slots that hold one.
        targets: (b,) item of each pair.
        visible: (b, s) personas of the own item the pair may see.
        log_q: (i,) log of the share of all pairs that have this target.
        no_negative: (b, i) items that must not count against the pair: the user likes them, or one of their personas is
            all but the pair's own.
    """

    members: Tensor
    offsets: Tensor
    weights: Tensor
    personas: Tensor
    filled: Tensor
    targets: Tensor
    visible: Tensor
    log_q: Tensor
    no_negative: Tensor

    def to(self, device: torch.device) -> Self:
        """The batch on a device."""
        return type(self)(*(getattr(self, field.name).to(device) for field in fields(self)))


def rows_of_step(rows: np.ndarray, step: int, batch_size: int, seed: int) -> np.ndarray:
    """Pairs of a step, from a permutation per epoch.

    A function of its arguments alone, so that neither a resumed run nor the number of processes changes a batch. The
    last pairs of an epoch that fill no batch are left out: fewer negatives would be another loss.
    """
    per_epoch = max(len(rows) // batch_size, 1)
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(len(rows))
    return rows[order[place * batch_size : (place + 1) * batch_size]]


def make_batch(examples: Examples, rows: np.ndarray, near_duplicate: float) -> tuple[np.ndarray, Batch]:
    """The texts of a batch as rows of `examples.texts`, (t,), and the batch."""
    items, targets = np.unique(examples.targets[rows], return_inverse=True)
    places, lengths = examples.histories.places(rows)
    filled, slots = examples.filled[items], examples.slots[items]
    # An empty slot repeats the item's first persona: any other text would be encoded for nothing.
    persona_texts = examples.persona_texts[np.where(filled, slots, slots[:, :1])]
    texts, found = np.unique(
        np.concatenate([examples.histories.values[places], persona_texts.ravel()]), return_inverse=True
    )
    members, personas = np.split(found, [len(places)])
    counts = np.bincount(examples.targets, minlength=len(examples.slots))
    no_negative = known_positives(examples, rows, items) | near_duplicates(examples, rows, items, near_duplicate)
    return texts, Batch(
        members=torch.from_numpy(members),
        offsets=torch.from_numpy(np.cumsum(lengths) - lengths),
        weights=torch.from_numpy(examples.weights[places]),
        personas=torch.from_numpy(personas.reshape(filled.shape)),
        filled=torch.from_numpy(filled),
        targets=torch.from_numpy(targets),
        visible=torch.from_numpy(examples.visible[rows]),
        log_q=torch.from_numpy(np.log(counts[items] / len(examples)).astype(np.float32)),
        no_negative=torch.from_numpy(no_negative),
    )


def known_positives(examples: Examples, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Whether the user of each pair likes each of the items, ascending: (rows, items). Covers the user's other pairs."""
    places, lengths = examples.known.places(examples.users[rows])
    liked, pair = examples.known.values[places], np.repeat(np.arange(len(rows)), lengths)
    column = np.searchsorted(items, liked).clip(max=len(items) - 1)
    here = items[column] == liked
    known = np.zeros((len(rows), len(items)), bool)
    known[pair[here], column[here]] = True
    return known


def near_duplicates(examples: Examples, rows: np.ndarray, items: np.ndarray, threshold: float) -> np.ndarray:
    """Whether an item has a persona whose cosine with the pair's own label exceeds the threshold: (rows, items)."""
    labels, inverse = np.unique(examples.labels[rows], return_inverse=True)
    filled = examples.filled[items]
    of_label = examples.persona_vectors[labels] @ examples.persona_vectors[examples.slots[items][filled]].T
    near = np.zeros((len(labels), *filled.shape), bool)
    near[:, filled] = of_label > threshold
    found: np.ndarray = np.any(near, axis=-1)[inverse]
    return found
