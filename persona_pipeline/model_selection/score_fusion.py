"""Evaluate weighted sums of a head's, popularity's and a prior's scores: NDCG@10 of every user under every mixture of weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.head import Head
from persona_pipeline.encoder.training_data import TrainingData
from persona_pipeline.encoder.training_examples import ItemSlots
from persona_pipeline.model_selection.next_item import (
    HeldOutInteractions,
    encoded,
    head_scores,
    hidden_personas,
    ndcg,
    popularity,
    popularity_scores,
    prior_scores,
)

POPULARITY_WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 1.5)
PRIORS = ("prox_knn", "ease")
PRIOR_WEIGHTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""At the largest little is left of what the personas say: lists are then those of the prior."""
_AT_ONCE = 8_000_000  # users x items x personas of the item with most

Mixture = dict[str, Any]
"""Values of popularity_weight, prior and prior_weight."""


@dataclass(frozen=True, slots=True)
class Mixtures:
    """The mixtures evaluated, and (mixtures, users) the NDCG@10 of each."""

    tried: list[Mixture]
    values: np.ndarray

    def best(self) -> int:
        """Index of the mixture with the highest mean, the first among equals."""
        return int(self.values.mean(axis=1).argmax())

    def as_good(self, errors: float) -> list[int]:
        """Index of the best mixture, then of those within `errors` standard errors of the paired difference to it."""
        short = self.values[self.best()] - self.values
        bound = errors * short.std(axis=1, ddof=1) / np.sqrt(short.shape[1])
        places = [int(place) for place in np.flatnonzero(short.mean(axis=1) <= bound)]
        return sorted(places, key=lambda place: place != self.best())


def mixture_of(config: EncodersConfig) -> Mixture:
    """The mixture configured by `config`."""
    return {name: getattr(config, name) for name in ("popularity_weight", "prior", "prior_weight")}


def middle_of(found: Sequence[Mixture], config: EncodersConfig) -> Mixture:
    """Average several mixtures, the best first: mean weights, the prior's on a logarithmic scale, a missing prior counting as 0.

    The kind of prior is that of the best mixture, or, where that has none, the commonest if at least half have one;
    mixtures with another kind are left out.
    """
    kinds = [mixture["prior"] for mixture in found if mixture["prior_weight"]]
    commonest = max(sorted(set(kinds)), key=kinds.count) if 2 * len(kinds) >= max(len(found), 1) else "none"
    kind = found[0]["prior"] if found[0]["prior_weight"] else commonest
    some = [mixture for mixture in found if mixture["prior"] == kind or not mixture["prior_weight"]]
    weights = np.array([mixture["prior_weight"] for mixture in some])
    if "prior_weight" not in config.tuned:
        weights = weights[weights > 0]
    return {
        "popularity_weight": round(float(np.mean([mixture["popularity_weight"] for mixture in some])), 3),
        "prior": kind,
        "prior_weight": round(float(np.expm1(np.log1p(weights).mean())), 3) if kind != "none" else 0.0,
    }


def mixtures(config: EncodersConfig, kinds: tuple[str, ...], coarse: bool = False) -> list[Mixture]:
    """List the mixtures `config.tuned` leaves open, first that of `config` itself; `coarse` thins the grid of weights."""
    given = mixture_of(config)
    liked: Sequence[float] = POPULARITY_WEIGHTS[::2] if coarse else POPULARITY_WEIGHTS
    liked = liked if "popularity_weight" in config.tuned else (config.popularity_weight,)
    names = kinds if "prior" in config.tuned else ((config.prior,) if config.prior != "none" else ())
    weights: Sequence[float] = PRIOR_WEIGHTS[1::2] if coarse else PRIOR_WEIGHTS
    weights = weights if "prior_weight" in config.tuned else (config.prior_weight,)
    priors = [pair for pair in product(names, weights) if pair[1]]
    if "prior" in config.tuned or not priors:
        priors.insert(0, ("none", 0.0))
    found = [
        {"popularity_weight": weight, "prior": kind, "prior_weight": other}
        for (kind, other), weight in product(priors, liked)
    ]
    return [given, *(mixture for mixture in found if mixture != given)]


def reached(
    head: Head,
    catalogue: ItemSlots,
    data: TrainingData,
    asked: HeldOutInteractions,
    masked: tuple[np.ndarray, np.ndarray],
    config: EncodersConfig,
    tried: list[Mixture],
    prior_of: Callable[[str], Prior],
) -> Mixtures:
    """Evaluate every mixture over one head's scores. Memory: a few blocks of users by items.

    Args:
        data: the head's training data; `asked` is predicted from its interactions, one target per user.
        masked: (m,) user ids and (m,) persona ids hidden from them, since the persona rests on the target's review alone.
        prior_of: fits a prior by its kind.
    """
    counts = popularity(data, catalogue.item_ids)
    kinds = sorted({mixture["prior"] for mixture in tried if mixture["prior_weight"]} - {"none"})
    priors = {kind: prior_of(kind) for kind in kinds}
    personas = encoded(head, catalogue)
    step = max(1, _AT_ONCE // catalogue.slots.numel())
    blocks = []
    for start in range(0, asked.users, step):
        some = asked.part(start, start + step)
        hidden = hidden_personas(masked, some, catalogue)
        said = head_scores(head, catalogue, data.interaction_profiles, some.histories, config, hidden, personas)
        said[some.seen] = -np.inf
        liked = popularity_scores(counts, some.histories, config)
        others = {
            kind: prior_scores(prior, catalogue.item_ids, some.histories, config) for kind, prior in priors.items()
        }
        values = []
        for mixture in tried:
            scores = said + mixture["popularity_weight"] * liked
            if mixture["prior"] in others:
                scores += mixture["prior_weight"] * others[mixture["prior"]]
            values.append(ndcg(scores, some.truth.items))
        blocks.append(np.stack(values))
    return Mixtures(tried, np.concatenate(blocks, axis=1))
