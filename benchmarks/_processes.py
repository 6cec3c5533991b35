"""Watch the processes below this one: the most memory they hold at once, and the bytes they read."""

import threading

import psutil


class Watch:
    """Looks at all descendants as long as it is open.

    Attributes:
        memory: most bytes held at once, a share of them where forked processes have pages in common.
        python: the same of all but the JVM.
        read: bytes that they asked the system for (files, jars, pipes), of each until it was last seen.
    """

    def __init__(self, every: float = 0.1) -> None:
        self.memory = self.python = 0.0
        self._read: dict[int, int] = {}
        self._every = every
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    @property
    def read(self) -> int:
        """Bytes read so far."""
        return sum(self._read.values())

    def __enter__(self) -> "Watch":
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._done.wait(self._every):
            held = {"java": 0.0, "python": 0.0}
            for process in psutil.Process().children(recursive=True):
                try:
                    held["java" if "java" in process.name() else "python"] += process.memory_full_info().pss
                    self._read[process.pid] = process.io_counters().read_chars
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            self.python = max(self.python, held["python"])
            self.memory = max(self.memory, held["python"] + held["java"])
