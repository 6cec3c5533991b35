"""Open input files by what they hold, not by their names: plain, gzip, bzip2 or zstd; name what else a file is.

A fault found here costs a second and names the file; found in a task of a cluster it is a page of Java.
"""

import bz2
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, cast

import pyarrow as pa

from persona_pipeline.core.errors import SourceError

Compression = Literal["none", "gzip", "bzip2", "zstd"]
# A zstd file may begin with a frame to be skipped (pzstd writes one).
_COMPRESSED: tuple[tuple[re.Pattern[bytes], Compression], ...] = (
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), "bzip2"),
    (re.compile(rb"(?:\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)"), "zstd"),
)
_ARCHIVES: tuple[tuple[int, bytes, str], ...] = (
    (257, b"ustar", "a tar archive: unpack it"),
    (0, b"PK\x03\x04", "a zip archive (or a spreadsheet): unpack it, or export it as CSV"),
    (0, b"\xfd7zXZ", "an xz file: unpack it, or compress it as gzip, bzip2 or zstd"),
    (0, b"7z\xbc\xaf", "a 7z archive: unpack it"),
    (0, b"Rar!\x1a\x07", "a rar archive: unpack it"),
    (0, b"\x04\x22\x4d\x18", "an lz4 file: unpack it, or compress it as gzip, bzip2 or zstd"),
    (0, b"]\0\0", "an lzma file: unpack it, or compress it as gzip, bzip2 or zstd"),
    (0, b"\x1f\x9d", "a file packed by compress: unpack it, or compress it as gzip, bzip2 or zstd"),
)
_REFUSED: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xfe\x00\x00", "UTF-32: convert it to UTF-8 (iconv -f UTF-32 -t UTF-8)"),
    (0, b"\xff\xfe", "UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"),
    (0, b"\xfe\xff", "UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself: git lfs pull"),
    (0, b"SQLite format 3", "an SQLite database: export the table as CSV"),
    (0, b"ORC\x0a", "an ORC file: convert it to Parquet"),
    (0, b"Obj\x01", "an Avro file: convert it to Parquet or JSON lines"),
)
_CONTROLS = bytes({*range(32)} - {*b"\t\n\v\f\r\x1a\x1b"})
_CHUNK = 1 << 20
_MAGIC = 512
HEAD = 1 << 18
"""Bytes of a file's beginning from which it is recognised."""
PARQUET = b"PAR1"


def compression(path: Path) -> Compression:
    """Compression of a file, by its first bytes. Raises SourceError where it cannot be opened."""
    try:
        with path.open("rb") as stream:
            start = stream.read(10)
    except OSError as error:
        raise SourceError(f"{path}: the file cannot be opened ({error.strerror})") from error
    return _compression(start)


def _compression(start: bytes) -> Compression:
    return next((name for magic, name in _COMPRESSED if magic.match(start)), "none")


@contextmanager
def opened(path: Path, start: int = 0) -> Iterator[IO[bytes]]:
    """Open a file for reading its uncompressed bytes, from `start` where it is plain.

    Raises SourceError, there and while it is read, where a compressed file is truncated or damaged.
    """
    kind = compression(path)
    try:
        with _stream(path, kind) as stream:
            if start:
                stream.seek(start)
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error, pa.ArrowInvalid) as error:
        raise _damaged(path, kind, error) from error
    except OSError as error:
        if kind == "none":
            raise
        raise _damaged(path, kind, error) from error


def _stream(path: Path, kind: Compression) -> IO[bytes]:
    if kind == "gzip":
        return cast(IO[bytes], gzip.GzipFile(path, "rb"))
    if kind == "bzip2":
        return cast(IO[bytes], bz2.BZ2File(path, "rb"))
    if kind == "zstd":
        packed = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
        return cast(IO[bytes], io.BufferedReader(cast(Any, packed), _CHUNK))
    return path.open("rb", buffering=_CHUNK)


def _damaged(path: Path, kind: Compression, error: Exception) -> SourceError:
    return SourceError(
        f"{path}: the {kind} file is truncated or damaged ({error}). Fetch it again; nothing was read from it."
    )


def _read(stream: IO[bytes]) -> bytes:
    # read() of a gzip stream would drop what precedes a break.
    read = getattr(stream, "read1", stream.read)
    return cast(bytes, read(_CHUNK))


def check_whole(path: Path) -> None:
    """Raise SourceError for a compressed file that breaks off, which shows only at its end."""
    if compression(path) == "none":
        return
    with opened(path) as stream:
        while _read(stream):
            pass


def archive(path: Path) -> str | None:
    """Tell which archive, or packing that is not read here, a file is, and what to do; None for any other file."""
    try:
        with opened(path) as stream:
            return _told(stream.read(_MAGIC), _ARCHIVES)
    except SourceError:
        return None


def _told(start: bytes, known: tuple[tuple[int, bytes, str], ...]) -> str | None:
    return next((what for offset, magic, what in known if start.startswith(magic, offset)), None)


def head(path: Path) -> bytes:
    """The first `HEAD` uncompressed bytes, without a byte order mark.

    Raises SourceError naming what the file is where it is none that can be read, or empty.
    """
    if path.stat().st_size == 0:
        return b""
    with opened(path) as stream:
        pieces: list[bytes] = []
        while sum(map(len, pieces)) < HEAD and (more := _read(stream)):
            pieces.append(more)
    start = b"".join(pieces)[:HEAD]
    if (within := _compression(start)) != "none":
        raise SourceError(f"{path}: this is a {within} file within a {compression(path)} file: unpack it once")
    if what := _told(start, (*_ARCHIVES, *_REFUSED)):
        raise SourceError(f"{path}: this is {what}")
    if start.startswith(PARQUET):
        if (packed := compression(path)) != "none":
            raise SourceError(f"{path}: this is a Parquet file within a {packed} file: unpack it")
        return start
    if start and not start.strip(b"\x00"):
        raise SourceError(f"{path}: this holds zeros and nothing else (a disk that broke off?); fetch the file again")
    zeros = start[:4096].count(0)
    if zeros > len(start[:4096]) // 4:
        raise SourceError(f"{path}: this is UTF-16 or UTF-32: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)")
    controls = len(start[:4096]) - len(start[:4096].translate(None, _CONTROLS))
    if controls > 8 + len(start[:4096]) // 50:  # single ones stand in texts of some exports
        raise SourceError(f"{path}: this is binary data of a kind unknown here; expected JSON, CSV or Parquet")
    start = start.removeprefix(b"\xef\xbb\xbf")
    if start.lstrip()[:1] == b"<":
        raise SourceError(
            f"{path}: this is HTML or XML (a page that says why the download failed?); fetch the file again"
        )
    return start
