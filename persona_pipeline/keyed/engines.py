"""Run tasks: one after the other on this machine (`Local`), or beside each other on Spark's executors (`OnSpark`)."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

Loaded = TypeVar("Loaded")
Done = TypeVar("Done")


class Engine(Protocol):
    """Runs tasks numbered from 0. What they return is brought together in one process, so it must be small."""

    name: str

    def run(self, number: int, load: Callable[[int], Loaded], work: Callable[[Loaded], Done]) -> Iterator[Done]:
        """Return `work(load(task))` of every task, in order."""
        ...


class Local:
    """A loop; the next task is loaded while one is worked on, so that at most two are in memory."""

    name = "local"

    def run(self, number: int, load: Callable[[int], Loaded], work: Callable[[Loaded], Done]) -> Iterator[Done]:
        """Return `work(load(task))` of every task, in order."""
        with ThreadPoolExecutor(1) as ahead:
            loading = [ahead.submit(load, 0)] if number else []
            for task in range(number):
                loaded = loading.pop().result()
                if task + 1 < number:
                    loading.append(ahead.submit(load, task + 1))
                yield work(loaded)
                del loaded


def each(engine: Engine, tasks: Sequence[Loaded], work: Callable[[Loaded], Done]) -> Iterator[Done]:
    """Return `work(task)` of every task, in order."""
    return engine.run(len(tasks), tasks.__getitem__, work)
