"""Validate input files before Spark reads them: existing, undamaged, with the keys the adapter expects.

A fault found here costs a second and names the file; found in a Spark task it is a page of Java.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Literal, cast

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.adapters import ADAPTERS, Adapter

InputKind = Literal["reviews", "items"]
_SAMPLED_LINES = 100
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class InputFile:
    """One checked file. `bytes` is its size on disk."""

    path: Path
    bytes: int


def input_files(path: Path, kind: InputKind) -> list[Path]:
    """List the file, or the *.json, *.jsonl files (plain or .gz) of the folder, sorted by name."""
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(p for pattern in ("*.json", "*.jsonl", "*.json.gz", "*.jsonl.gz") for p in path.glob(pattern))
        if found:
            return found
        raise SourceError(f"{kind}: no *.json, *.jsonl, *.json.gz or *.jsonl.gz in the folder {path}")
    raise SourceError(f"{kind}: no file or folder {path}")


def check_files(path: Path, kind: InputKind, adapter: Adapter) -> list[InputFile]:
    """Validate that files can be read to the end and that their first lines carry the adapter's required keys.

    Reads gzip files whole (a truncated one shows only at its end), plain ones for their first lines.
    Raises SourceError naming file, line and key.
    """
    checked = []
    for file in input_files(path, kind):
        _check_keys(file, kind, adapter)
        if file.suffix == ".gz":
            check_gzip(file)
        checked.append(InputFile(file, file.stat().st_size))
    return checked


def day_after_newest(path: Path, adapter: Adapter) -> date:
    """The day after the newest review: the first `as_of` that leaves nothing out. Reads every line."""
    key, newest = adapter.reviews["timestamp"], None
    for file in input_files(path, "reviews"):
        for line in read_lines(file):
            try:
                moment = parse_timestamp(json.loads(line).get(key))
            except (ValueError, AttributeError):
                continue  # the reviews job sets such lines aside, with their reason
            if moment is not None and (newest is None or moment > newest):
                newest = moment
    if newest is None:
        raise SourceError(f"reviews: no line of {path} has a readable {key}; set AS_OF to a date such as 2024-06-30")
    return newest.date() + timedelta(days=1)


def parse_timestamp(value: object) -> datetime | None:
    """Parse epoch seconds, epoch milliseconds (11 digits or more before the point) or ISO 8601, as UTC; None if neither.

    The same rule as `reader.timestamp_column`, which Spark applies to whole files.
    """
    text = str(value).strip() if value is not None else ""
    whole = text.removesuffix(".0")
    if whole.isascii() and whole.isdigit() and len(whole) <= 14:
        return datetime.fromtimestamp(int(whole) / (1000 if len(whole) > 11 else 1), UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _open(file: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file, "rb")) if file.suffix == ".gz" else file.open("rb")


def read_lines(file: Path) -> Iterator[bytes]:
    """Lines of a plain or gzip file. Raises SourceError where a gzip file breaks off."""
    with _open(file) as stream:
        number = 0
        try:
            for line in stream:
                number += 1
                yield line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _broken(file, number, error) from error


def _broken(file: Path, lines: int, error: Exception) -> SourceError:
    return SourceError(
        f"{file}: gzip file is truncated or damaged after line {lines:,} ({error}). Fetch it again; nothing was read from it."
    )


def check_gzip(file: Path) -> None:
    """Raise SourceError for a truncated gzip file, which shows only at its end."""
    lines = 0
    with gzip.open(file, "rb") as stream:
        try:
            while chunk := stream.read1(_CHUNK):  # read() would drop what precedes the break
                lines += chunk.count(b"\n")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _broken(file, lines, error) from error


def _check_keys(file: Path, kind: InputKind, adapter: Adapter) -> None:
    seen: dict[str, None] = {}
    sampled = 0
    for line in read_lines(file):
        if sampled == _SAMPLED_LINES:
            break
        sampled += 1
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            seen.update(dict.fromkeys(record))
    if not sampled:
        raise SourceError(f"{file}: the file is empty; expected one JSON object a line")
    if not seen:
        raise SourceError(
            f"{file}: none of the first {sampled} lines is a JSON object; expected JSON lines, plain or gzip"
        )
    missing = [key for key in adapter.required(kind) if key not in seen]
    if missing:
        fitting = [a.name for a in ADAPTERS.values() if a.name != "synthetic" and set(a.required(kind)) <= set(seen)]
        hint = (
            f"These are the keys of SOURCE={fitting[0]}." if fitting else "Rename the keys, or choose another SOURCE."
        )
        raise SourceError(
            f"{file}: {kind} of source {adapter.name} need the key{'s' if len(missing) > 1 else ''} {', '.join(missing)}, "
            f"absent from the first {sampled} lines, which have {', '.join(seen)}. {hint}"
        )
