"""List the input files of a folder, once nothing is being written to it any more."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.core.errors import SourceError, TransientError
from persona_pipeline.sources.containers import archive

log = logging.getLogger(__name__)
SUFFIXES = frozenset({".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet"})
_PACKED = frozenset({".gz", ".gzip", ".bz2", ".zst", ".zstd"})
_UNFINISHED = frozenset({".tmp", ".part", ".partial", ".crdownload", ".inprogress", "._copying_"})
SUCCESS = "_SUCCESS"
_LOOK_AGAIN = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Listing:
    """Files that are read, in the order of their names, and how many others lie beside them.

    Attributes:
        hidden: files whose name, or a folder's of theirs, begins with `.` or `_`.
        other: files of another suffix.
    """

    root: Path
    files: tuple[Path, ...]
    hidden: int = 0
    other: int = 0

    def name(self, file: Path) -> str:
        """Name of a file below what was given."""
        return file.name if file == self.root else file.relative_to(self.root).as_posix()


def list_files(path: Path, kind: str) -> Listing:
    """List the file, or those of the folder and of its folders.

    Raises SourceError where there is none, and for archives and packings that are not read, which may hold what nobody would miss.
    """
    if path.is_file():
        return Listing(path, (path,))
    if not path.is_dir():
        raise SourceError(f"{kind}: no file or folder {path}")
    files, hidden, other = [], [], []
    for file in sorted(p for p in path.rglob("*") if p.is_file() or p.is_symlink()):
        if any(part[0] in "._" for part in file.relative_to(path).parts):
            hidden.append(file)
            continue
        if not file.exists():
            raise SourceError(f"{kind}: {file}: a link to nothing: mend it or take it out of the folder")
        if file.is_dir():
            raise SourceError(f"{kind}: {file}: a link to a folder: give the folder itself, or put its files here")
        if _suffix(file) in SUFFIXES:
            files.append(file)
        elif what := archive(file):
            raise SourceError(f"{kind}: {file}: this is {what}; or take it out of the folder")
        else:
            other.append(file)
    if not files:
        beside = (
            [f"{len(hidden)} hidden ({hidden[0].name}: names that begin with . or _ are not read)"] if hidden else []
        )
        beside += [f"{len(other)} of another suffix ({other[0].name})"] if other else []
        raise SourceError(
            f"{kind}: nothing to read in the folder {path}: no {', '.join('*' + s for s in sorted(SUFFIXES))}, plain or packed "
            f"(.gz, .bz2, .zst){'; there are ' + ' and '.join(beside) if beside else ''}"
        )
    return Listing(path, tuple(files), len(hidden), len(other))


def _suffix(file: Path) -> str:
    suffix = file.suffix.lower()
    return Path(file.stem).suffix.lower() if suffix in _PACKED else suffix


def settled(path: Path, kind: str, config: ReviewsConfig) -> None:
    """Wait until a folder is no longer being filled; a single file is taken as it is.

    It is while a file in it is younger than `quiet_seconds` or has the name of an unfinished one, or while `_SUCCESS` is
    expected and absent. Raises TransientError after `wait_minutes`.
    """
    quiet_seconds, until, told = config.quiet_seconds, time.monotonic() + 60 * config.wait_minutes, False
    while path.is_dir() and (why := _filling(path, quiet_seconds, config.expect_success)):
        if time.monotonic() >= until:
            raise TransientError(
                f"{kind}: the folder {path} is still being filled: {why}. Nothing was read; try again later"
            )
        if not told:
            log.warning("%s: waiting for the folder %s, which is being filled: %s", kind, path, why)
            told = True
        time.sleep(min(_LOOK_AGAIN, max(quiet_seconds, 0.05)))


def _filling(path: Path, quiet_seconds: float, expect_success: bool) -> str | None:
    if expect_success and not (path / SUCCESS).exists():
        return f"there is no {SUCCESS} in it"
    if (path / "_temporary").exists():
        return "there is a _temporary in it, where Spark or Hadoop write what is not committed"
    now = time.time()
    for file in path.rglob("*"):
        if file.suffix.lower() in _UNFINISHED:
            return f"{file.name} has the name of an unfinished file"
        try:
            age = now - file.stat().st_mtime
        except FileNotFoundError:
            if file.is_symlink():  # to nothing, as an editor's lock is
                continue
            return f"{file.name} went while it was looked at"
        # Another machine's clock, whose dates they are, may be a little ahead.
        if file.is_file() and abs(age) < quiet_seconds and not expect_success:
            return f"{file.name} was written {max(age, 0):.0f} s ago (reviews.quiet_seconds is {quiet_seconds:g})"
    return None
