"""Search files that are neither rows nor text for ids: archives of arrays, and whatever else there is, byte by byte."""

import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

import numpy as np

_LEAST = 6
"""Bytes of an id that is looked for in files of no known kind: shorter ones stand in any."""
_CODES = ("utf-8", "utf-16-le", "utf-32-le")
_CHUNK = 1 << 20


class Needles:
    """Ids as bytes, in UTF-8, UTF-16 and UTF-32, each looked for at once."""

    def __init__(self, ids: Collection[str]) -> None:
        long = [one for one in ids if len(one.encode()) >= _LEAST]
        self._wanted = tuple({one.encode(code) for one in long for code in _CODES})
        self._beginnings = np.unique(_each(b"".join(one[:_LEAST] for one in self._wanted))[::_LEAST])
        self._longest = max(map(len, self._wanted), default=0)

    def found_in(self, stream: IO[bytes]) -> bool:
        """Whether a stream holds one of them."""
        window = b""
        while self._wanted and (chunk := stream.read(_CHUNK)):
            window += chunk
            if any(window.startswith(self._wanted, at) for at in self._begun(window)):
                return True
            window = window[-(self._longest - 1) :]
        return False

    def _begun(self, window: bytes) -> Iterator[int]:
        yield from np.flatnonzero(np.isin(_each(window), self._beginnings)).tolist()


def _each(content: bytes) -> np.ndarray:
    """Every `_LEAST` bytes in a row of n bytes as one number: (n - _LEAST + 1,) uint64."""
    size = max(len(content) - _LEAST + 1, 0)
    each = np.frombuffer(content, np.uint8).astype(np.uint64)
    found = np.zeros(size, np.uint64)
    for place in range(_LEAST):
        found |= each[place : place + size] << np.uint64(8 * place)
    return found


def found_in_archive(path: Path, ids: Collection[str], needles: Needles) -> bool:
    """Whether a zip archive holds an id: in the texts of NumPy's arrays, or in members of any other kind."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                if not name.endswith(".npy"):
                    if needles.found_in(member):
                        return True
                    continue
                array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)  # type: ignore[no-untyped-call]
                if array.dtype.kind in "US" and not set(ids).isdisjoint(array.astype(str).ravel().tolist()):
                    return True
    return False
