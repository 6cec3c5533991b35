"""Whether work grows with the size of what it is done to and no faster."""

import gc
import time
from collections.abc import Callable

_TRIES = 3  # what else the machine does only adds, and rarely to all


def grows_no_faster(work: Callable[[int], object], size: int) -> bool:
    """Whether twice the size costs about twice as much. Quadratic work of the sizes in these tests is minutes."""
    return any(_seconds(work, 2 * size) < 3 * _seconds(work, size) + 0.5 for _ in range(_TRIES))


def _seconds(work: Callable[[int], object], size: int) -> float:
    """CPU time of this thread; no collection of what earlier tests left falls into it."""
    gc.disable()
    try:
        begin = time.thread_time()
        work(size)
        return time.thread_time() - begin
    finally:
        gc.enable()
