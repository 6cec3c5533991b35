"""Digest input files, and check that they are whole, once a process: several look at the same file."""

import hashlib
from functools import lru_cache
from pathlib import Path

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.containers import check_whole

_FILES = 1 << 16


def digest_of(path: Path) -> str:
    """The sha256 of a file's content, in hexadecimal. Raises SourceError where it cannot be read."""
    try:
        return _digest(path, _state(path))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error


def require_whole(path: Path) -> None:
    """Raise SourceError for a compressed file that breaks off."""
    _whole(path, _state(path))


def _state(path: Path) -> tuple[int, int, int]:
    """What of a file changes with its content."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@lru_cache(_FILES)
def _digest(path: Path, _of: tuple[int, int, int]) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(_FILES)
def _whole(path: Path, _of: tuple[int, int, int]) -> None:
    check_whole(path)
