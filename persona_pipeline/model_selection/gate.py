"""Decide whether a challenger encoder replaces the served one: non-inferior overall, and not significantly worse on any slice."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from persona_pipeline.core.terminal import counted
from persona_pipeline.evaluate.significance import DRAWS, compare, holm

MIN_USERS = 200
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class SliceDifference:
    """Candidate - served on one slice of users. `p_value` is adjusted by Holm over the slices tested."""

    name: str
    users: int
    difference: float
    low: float
    high: float
    p_value: float

    @property
    def worse(self) -> bool:
        """Whether the candidate is significantly worse on this slice."""
        return self.difference < 0 and self.p_value <= LEVEL


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The gate's decision. `slices` are the slices large enough to be tested; `reasons` explain the decision, with figures."""

    promoted: bool
    reasons: list[str]
    difference: float
    low: float
    high: float
    slices: tuple[SliceDifference, ...]


def gate_verdict(
    served: np.ndarray,
    candidate: np.ndarray,
    slices: Mapping[str, np.ndarray],
    margin: float,
    draws: int = DRAWS,
    seed: int = 0,
) -> GateVerdict:
    """Promote if the overall difference is above -margin with 97.5% confidence, and no slice is significantly worse.

    Slices of 200 users or more are tested, at a level of .05 over all of them (Holm). A slice of all users is skipped:
    the margin tests it. Without users the candidate is refused.

    Args:
        served, candidate: (users,) NDCG@10 of the same users under each encoder.
        slices: (users,) bool each.
        margin: non-inferiority margin in NDCG@10; 0 demands superiority.
    """
    if not len(served):
        return GateVerdict(False, ["no user to compare the encoders on"], 0.0, 0.0, 0.0, ())
    overall = compare(candidate, served, draws, seed)
    difference, low, high = (float(part) for part in (overall.value, overall.low, overall.high))
    judged = _differences(served, candidate, slices, draws, seed)
    worse = [part for part in judged if part.worse]
    enough = low > -margin
    told = (
        f"NDCG@10 of {counted(len(served), 'user')}: {candidate.mean():.4f} against {served.mean():.4f} served, "
        f"difference {difference:+.4f} (95% interval {low:+.4f} to {high:+.4f}); its lower end is "
        f"{'above' if enough else 'not above'} {0 - margin:.4f}"
    )
    if worse:
        rest = [
            f"slice {part.name} ({counted(part.users, 'user')}) is significantly worse: {part.difference:+.4f} "
            f"({part.low:+.4f} to {part.high:+.4f}), p = {part.p_value:.4f} after Holm's correction"
            for part in worse
        ]
    else:
        names = ", ".join(part.name for part in judged) or "none is that large"
        rest = [f"no slice of {MIN_USERS} users or more is significantly worse ({names})"]
    return GateVerdict(enough and not worse, [told, *rest], difference, low, high, tuple(judged))


def _differences(
    served: np.ndarray, candidate: np.ndarray, slices: Mapping[str, np.ndarray], draws: int, seed: int
) -> list[SliceDifference]:
    large = {name: users for name, users in slices.items() if users.sum() >= MIN_USERS and not users.all()}
    found = {name: compare(candidate[users], served[users], draws, seed) for name, users in large.items()}
    adjusted = holm([float(part.p_value) for part in found.values()])
    return [
        SliceDifference(name, int(large[name].sum()), float(part.value), float(part.low), float(part.high), float(p))
        for (name, part), p in zip(found.items(), adjusted, strict=True)
    ]
