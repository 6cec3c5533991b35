"""Define the head, two bias-free linear maps over frozen embeddings, and the score of an item for a user.

A user is u = norm(sum_i w_i A h_i) over the embeddings h_i of liked interactions, newest first, with w_i = 0.5 ** (i /
half_life); a persona is norm(B p). An item scores tau * (logsumexp_j(u . B p_j / tau) - log n) over its n personas
(`softmax`), or the largest u . B p_j (`max`, the paper's).
"""

import math

import numpy as np
import torch
from torch import Tensor, nn


class Head(nn.Module):
    """Maps A (interactions) and B (personas), each d x d, starting as the identity, and the temperature tau."""

    def __init__(self, dimensions: int, temperature: float) -> None:
        super().__init__()
        self.log_tau = nn.Parameter(torch.tensor(math.log(temperature)))
        self.interaction_map = nn.Parameter(torch.eye(dimensions))
        self.persona_map = nn.Parameter(torch.eye(dimensions))

    @classmethod
    def of(cls, interaction_map: np.ndarray, persona_map: np.ndarray, temperature: float) -> "Head":
        """Build a head from trained maps, (d, d) each, in float64."""
        head = cls(len(interaction_map), temperature).double()
        with torch.no_grad():
            head.interaction_map.copy_(torch.from_numpy(interaction_map))
            head.persona_map.copy_(torch.from_numpy(persona_map))
        return head

    @property
    def temperature(self) -> float:
        """The current tau, rounded to six digits, so that a tau that is not learned equals the configured value."""
        return round(float(self.log_tau.detach().exp()), 6)

    def users(self, profiles: Tensor) -> Tensor:
        """Map weighted sums of item embeddings (n, d) to unit user vectors (n, d). A is linear, so the sum comes first."""
        return nn.functional.normalize(profiles @ self.interaction_map.T, dim=-1)

    def personas(self, embeddings: Tensor) -> Tensor:
        """Map persona embeddings (n, d) to unit persona vectors (n, d)."""
        return nn.functional.normalize(embeddings @ self.persona_map.T, dim=-1)


def aggregate(similarities: Tensor, visible: Tensor, temperature: float, how: str) -> Tensor:
    """Aggregate persona similarities to item scores.

    Args:
        similarities: (..., items, slots), u . persona.
        visible: boolean, broadcastable to `similarities`; padding and masked personas are False. Every item needs one True.
        temperature: tau of the soft maximum.
        how: `softmax` or `max`.

    Returns:
        (..., items)
    """
    hidden = similarities.masked_fill(~visible, -torch.inf)
    if how == "max":
        return hidden.amax(-1)
    count = visible.sum(-1).to(similarities.dtype)
    return temperature * (torch.logsumexp(hidden / temperature, -1) - torch.log(count))
