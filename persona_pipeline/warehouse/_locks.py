"""Lock a name in a warehouse: a file under `_claims/`, held while a table is written or a release is published.

The kernel releases a lock when its process dies, so a killed writer never blocks its rerun.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from persona_pipeline.core.errors import BusyError

LOCKS = "_claims"


def holder(root: Path, name: str) -> str | None:
    """Describe the holder of the lock `name`, in the words given to `lock`; None where it is free."""
    path = _path(root, name)
    if not path.is_file():
        return None
    # Not by a lock of one's own: who may only read may ask too, and two who ask at once do not see each other.
    with path.open("r", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return held.read() or "just started"
    return None


def holders(root: Path, beginning: str) -> dict[str, str]:
    """Describe the holders of locks whose names begin so, by name."""
    names = sorted(path.stem for path in (root / LOCKS).glob(f"{beginning}*.lock"))
    return {name: told for name in names if (told := holder(root, name))}


@contextmanager
def lock(root: Path, name: str, holder: Mapping[str, str], wait: bool = False) -> Iterator[None]:
    """Hold the lock `name` in a warehouse; `holder` is shown to a second process.

    Raises BusyError at once where another process holds it: a waiting writer would overwrite what the first just wrote.
    With `wait` it waits instead, for writers that reread the table first.
    """
    path = _path(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        acquired = FileLock(path).acquire(blocking=wait)
    except Timeout:
        told = path.read_text(encoding="utf-8") or "just started"
        raise BusyError(
            f"{name} in {root} is held by another process ({told}); "
            "this one wrote nothing. Run it again once the other has ended"
        ) from None
    with acquired:
        # In its place, and never a new file: a lock is on the file, not on its name.
        with path.open("r+", encoding="utf-8") as note:
            note.write(json.dumps({**holder, "pid": os.getpid()}))
            note.truncate()
        yield


def _path(root: Path, name: str) -> Path:
    return root / LOCKS / f"{name}.lock"
