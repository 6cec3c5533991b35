"""Everything that lies under a folder, decoded, to be searched for what must not be there: knows nothing of how it is erased."""

import gzip
import html
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def texts_in(path: Path) -> Iterator[str]:
    """All texts of one file: every string of Parquet with its footer's bounds, else its characters, unpacked and unescaped."""
    content = path.read_bytes()
    yield content.decode("utf-8", errors="replace")
    if content.startswith(b"PAR1"):
        yield from _strings(pq.read_table(path).to_pylist())
        yield repr(pq.read_metadata(path).to_dict())
    elif content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content).decode("utf-8", errors="replace")
    elif path.suffix == ".html":
        yield html.unescape(content.decode("utf-8"))


def found_in(root: Path, needles: Iterable[str], but: Iterable[Path] = ()) -> dict[str, str]:
    """By each needle that a file holds, one such file."""
    wanted, found = set(needles), {}
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.is_symlink() or any(path.is_relative_to(other) for other in but):
            continue
        text = "\0".join(texts_in(path))
        for needle in [needle for needle in wanted if needle in text]:
            found[needle] = str(path.relative_to(root))
            wanted.remove(needle)
    return found


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)
