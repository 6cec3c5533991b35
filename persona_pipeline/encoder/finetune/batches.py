"""Build training batches from pairs: distinct texts, distinct items, sampled evidence, and the mask of false negatives."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor

from persona_pipeline.encoder.finetune.examples import Examples


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of b pairs over t distinct texts, with i target items of at most s personas, and q items in all.

    Attributes:
        evidence: (e,) text of each sampled evidence review, grouped by item.
        evidence_offsets: (q,) start of each item's evidence.
        members: (h,) item, among the q, of each history entry, grouped by pair.
        offsets: (b,) start of each pair's history.
        weights: (h,) weight of each history entry.
        items: (i,) index of each target item among the q.
        personas: (i, s) text of each persona.
        filled: (i, s) whether the slot holds a persona.
        targets: (b,) target item of each pair, among the i.
        visible: (b, s) personas of the target item that are not masked for the pair.
        log_q: (i,) log of the share of all pairs that have this target.
        no_negative: (b, i) items that must not count as negatives of the pair: the user likes them, or one of their personas
            is a near-duplicate of the pair's own.
    """

    evidence: Tensor
    evidence_offsets: Tensor
    members: Tensor
    offsets: Tensor
    weights: Tensor
    items: Tensor
    personas: Tensor
    filled: Tensor
    targets: Tensor
    visible: Tensor
    log_q: Tensor
    no_negative: Tensor

    def to(self, device: torch.device) -> Self:
        """Copy the batch to a device."""
        return type(self)(*(getattr(self, field.name).to(device) for field in fields(self)))


def rows_of_step(rows: np.ndarray, step: int, batch_size: int, seed: int) -> np.ndarray:
    """Select the pairs of a step, from a permutation per epoch.

    A function of its arguments alone, so that neither a resumed run nor the number of processes changes a batch. The
    last pairs of an epoch that fill no batch are left out: fewer negatives would be another loss.
    """
    per_epoch = max(len(rows) // batch_size, 1)
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(len(rows))
    return rows[order[place * batch_size : (place + 1) * batch_size]]


def make_batch(
    examples: Examples, rows: np.ndarray, near_duplicate: float, evidence_per_item: int, rng: np.random.Generator
) -> tuple[np.ndarray, Batch]:
    """Build a batch; returns its texts as rows of `examples.texts`, (t,), and the batch. `rng` samples the evidence."""
    items, targets = np.unique(examples.targets[rows], return_inverse=True)
    places, lengths = examples.histories.places(rows)
    profiled, found = np.unique(np.concatenate([examples.histories.values[places], items]), return_inverse=True)
    members, own_places = np.split(found, [len(places)])
    evidence, counts = draw_evidence(examples, rows, profiled, evidence_per_item, rng)
    filled, slots = examples.filled[items], examples.slots[items]
    # An empty slot repeats the item's first persona: any other text would be encoded for nothing.
    persona_texts = examples.persona_texts[np.where(filled, slots, slots[:, :1])]
    texts, found = np.unique(np.concatenate([evidence, persona_texts.ravel()]), return_inverse=True)
    drawn, personas = np.split(found, [len(evidence)])
    shares = np.bincount(examples.targets, minlength=len(examples.slots))[items] / len(examples)
    no_negative = known_positives(examples, rows, items) | near_duplicates(examples, rows, items, near_duplicate)
    return texts, Batch(
        evidence=torch.from_numpy(drawn),
        evidence_offsets=torch.from_numpy(np.cumsum(counts) - counts),
        members=torch.from_numpy(members),
        offsets=torch.from_numpy(np.cumsum(lengths) - lengths),
        weights=torch.from_numpy(examples.weights[places]),
        items=torch.from_numpy(own_places),
        personas=torch.from_numpy(personas.reshape(filled.shape)),
        filled=torch.from_numpy(filled),
        targets=torch.from_numpy(targets),
        visible=torch.from_numpy(examples.visible[rows]),
        log_q=torch.from_numpy(np.log(shares).astype(np.float32)),
        no_negative=torch.from_numpy(no_negative),
    )


def draw_evidence(
    examples: Examples, rows: np.ndarray, items: np.ndarray, most: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sample at most `most` evidence texts per item, (e,), with their number per item, (items,).

    A pair's user's own review of the target is left out where the item has any other: serving recommends no item that
    the user has reviewed, so there an item embedding never holds it, and here it would leak the label.
    """
    places, lengths = examples.evidence.places(items)
    texts, item = examples.evidence.values[places], np.repeat(np.arange(len(items)), lengths)
    rows = rows[examples.own[rows] >= 0]
    count, targets = len(examples.texts), np.searchsorted(items, examples.targets[rows])
    own = np.isin(item * count + texts, targets * count + examples.own[rows])
    keys = rng.random(len(places)) + own
    order = np.lexsort((keys, item))
    rank = np.arange(len(places)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    kept = (rank < most) & ((rank == 0) | (keys[order] < 1))
    return texts[order][kept], np.bincount(item[kept], minlength=len(items))


def known_positives(examples: Examples, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Mark (rows, items) items, ascending, that the user of each pair likes. Covers the user's other pairs."""
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
