"""Estimate the seconds of a hyperparameter search's parts on a slow core, as its time budget: reruns try the same settings."""

from persona_pipeline.config import EncodersConfig

FLOPS = 3e10
"""Of one core, a second."""
_STEP = 0.015  # seconds of a step beside its products: sorting, the optimiser
_CELL = 2e-8  # seconds to rank one item for one user

GRIDS_SHARE = 0.3
"""Share of the budget that ranking may take: so many users are asked as it allows."""
EASE_SHARE = 0.1
"""Share of the budget that fitting EASE may take; where it takes more, it is not tried."""


def fit_seconds(config: EncodersConfig, examples: int, items: int, slots: int, dimensions: int) -> float:
    """Seconds to train one head on `examples` pairs, over a catalogue with at most `slots` personas per item (two as a rule)."""
    pairs = min(config.batch_size, examples)
    shown = min(pairs, items)
    products = 6 * dimensions * ((pairs + shown * min(slots, 2)) * dimensions + pairs * shown * slots)
    return config.steps * (_STEP + products / FLOPS)


def ease_seconds(items: int) -> float:
    """Seconds to fit EASE: invert a matrix of items x items."""
    return 2 * items**3 / FLOPS


def most_users(seconds: float, items: int, cells: int) -> int:
    """Number of users that can be ranked `cells` times within the share of `seconds` for ranking; at least 200."""
    return max(200, int(GRIDS_SHARE * seconds / (items * cells * _CELL)))
