"""How long a search may take, by what its parts cost on a slow core, never by the clock: a rerun tries the same."""

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
    """Of one head on so many pairs, of a catalogue with at most `slots` personas an item, and two as a rule."""
    pairs = min(config.batch_size, examples)
    shown = min(pairs, items)
    products = 6 * dimensions * ((pairs + shown * min(slots, 2)) * dimensions + pairs * shown * slots)
    return config.steps * (_STEP + products / FLOPS)


def ease_seconds(items: int) -> float:
    """Of the inverse of a matrix of items."""
    return 2 * items**3 / FLOPS


def most_users(seconds: float, items: int, cells: int) -> int:
    """How many users can be ranked so many times within the share of `seconds` that is for ranking; at least 200."""
    return max(200, int(GRIDS_SHARE * seconds / (items * cells * _CELL)))
