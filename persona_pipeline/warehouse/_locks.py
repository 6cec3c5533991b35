"""One writer at a time: a lock file under `_claims/`, held while a table is written or a night is published.

The kernel lets go of a lock when its process dies, so a killed writer never stands in the way of its rerun.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from persona_pipeline.core.errors import BusyError

LOCKS = "_claims"


def holder(root: Path, name: str) -> str | None:
    """Who holds `name` in a warehouse, in the words `claim` was given; None where nobody does."""
    try:
        lock = (root / LOCKS / f"{name}.lock").open("r", encoding="utf-8")
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read() or "just started"
    return None


@contextmanager
def lock(root: Path, name: str, holder: Mapping[str, str], wait: bool = False) -> Iterator[None]:
    """Hold `name` in a warehouse; `holder` is told to whoever comes second.

    Raises BusyError at once where another process holds it: to wait would be to overwrite what it just wrote. With `wait` it
    waits: for what looks again at what is there.
    """
    folder = root / LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            lock.seek(0)
            raise BusyError(
                f"{name} in {root} is held by another process ({lock.read() or 'just started'}); "
                "this one wrote nothing. Run it again once the other has ended"
            ) from None
        lock.truncate(0)
        lock.write(json.dumps({**holder, "pid": os.getpid()}))
        lock.flush()
        yield
