"""Whether work grows with the size of what it is done to and no faster."""

import gc
import time
from collections.abc import Callable

_TRIES = 3  # the least counts: whatever else the machine does only adds


def grows_no_faster(work: Callable[[int], object], size: int) -> bool:
    """Whether twice the size costs about twice as much. Quadratic work of the sizes in these tests is minutes."""
    once, twice = _seconds(work, size), _seconds(work, 2 * size)
    return twice < 3 * once + 0.5


def _seconds(work: Callable[[int], object], size: int) -> float:
    """CPU time of this thread; no collection of what earlier tests left falls into it."""
    found = []
    gc.disable()
    try:
        for _ in range(_TRIES):
            begin = time.thread_time()
            work(size)
            found.append(time.thread_time() - begin)
    finally:
        gc.enable()
    return min(found)
