"""A file is opened by what it holds, whatever its name says; what cannot be read is named."""

import bz2
import codecs
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from reading import json_lines, lines, users, write

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.containers import check_whole, compression, head, opened

TEXT = json_lines(lines(20)).encode()
EVERYBODY = [f"u{n}" for n in range(20)]


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


PACKED = {
    "plain": TEXT,
    "gzip": gzip.compress(TEXT),
    "gzip of several members": gzip.compress(TEXT[:500]) + gzip.compress(TEXT[500:]),
    "gzip with zeros behind it": gzip.compress(TEXT) + bytes(1024),
    "bzip2": bz2.compress(TEXT),
    "bzip2 of several streams": bz2.compress(TEXT[:500]) + bz2.compress(TEXT[500:]),
    "zstd": zstd(TEXT),
    "zstd of several frames": zstd(TEXT[:500]) + zstd(TEXT[500:]),
    "zstd behind a frame to be skipped": b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd(TEXT),
}


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz", "r.json.bz2", "r.ndjson.zst"])
@pytest.mark.parametrize("content", PACKED.values(), ids=PACKED)
def test_the_name_of_a_file_says_nothing(tmp_path: Path, content: bytes, name: str) -> None:
    assert users(write(tmp_path / name, content)) == EVERYBODY


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "zstd"])
@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_file_that_breaks_off_is_named(tmp_path: Path, kind: str, keep: float) -> None:
    long = json_lines([{**row, "text": f"{n * 7919**9:x}"} for n, row in enumerate(lines(5000))]).encode()
    whole = gzip.compress(long) if kind == "gzip" else bz2.compress(long) if kind == "bzip2" else zstd(long)
    path = write(tmp_path / "r.jsonl.gz", whole[: int(len(whole) * keep)])
    with pytest.raises(SourceError, match=rf"r\.jsonl\.gz: the {kind} file is truncated or damaged .* Fetch it again"):
        users(path)
    write(path, whole)
    check_whole(path)


@pytest.mark.parametrize("damage", [gzip.compress(TEXT) + b"junk", gzip.compress(TEXT)[:-8] + bytes(8)])
def test_a_damaged_gzip_file_is_named(tmp_path: Path, damage: bytes) -> None:
    with pytest.raises(SourceError, match="the gzip file is truncated or damaged"):
        users(write(tmp_path / "r.jsonl.gz", damage))


def archive(form: str) -> bytes:
    made = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(made, "w") as pack:
            pack.writestr("r.jsonl", TEXT)
    else:
        with tarfile.open(fileobj=made, mode="w:gz" if form == "tar.gz" else "w") as tar:
            entry = tarfile.TarInfo("r.jsonl")
            entry.size = len(TEXT)
            tar.addfile(entry, io.BytesIO(TEXT))
    return made.getvalue()


REFUSED = {
    "a tar archive: unpack it": archive("tar"),
    "a tar archive: unpack it ": archive("tar.gz"),
    "a zip archive .or a spreadsheet.: unpack it": archive("zip"),
    "an xz file: unpack it": lzma.compress(TEXT),
    "a 7z archive": b"7z\xbc\xaf\x27\x1c" + bytes(40),
    "an lz4 file": b"\x04\x22\x4d\x18" + bytes(40),
    "a gzip file within a gzip file: unpack it once": gzip.compress(gzip.compress(TEXT)),
    "a zstd file within a gzip file: unpack it once": gzip.compress(zstd(TEXT)),
    "UTF-16: convert it to UTF-8": codecs.BOM_UTF16_LE + TEXT.decode().encode("utf-16-le"),
    "UTF-16: convert it to UTF-8 ": codecs.BOM_UTF16_BE + TEXT.decode().encode("utf-16-be"),
    "UTF-16 or UTF-32: convert it": TEXT.decode().encode("utf-16-le"),
    "UTF-32: convert it": TEXT.decode().encode("utf-32"),
    "HTML or XML": b"\n<!DOCTYPE html><html><body>403 Forbidden</body></html>",
    "HTML or XML .a page that says why the download failed": gzip.compress(b"<html>Not found</html>"),
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 12\n",
    "an SQLite database": b"SQLite format 3\0" + bytes(100),
    "an Avro file": b"Obj\x01" + bytes(100),
    "zeros and nothing else": bytes(4096),
    "binary data": bytes(range(256)) * 20,
    "a Parquet file within a gzip file: unpack it": gzip.compress(b"PAR1" + bytes(100)),
    "a damaged Parquet file": b"PAR1" + bytes(100),
}


@pytest.mark.parametrize(("what", "content"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_read_is_named(tmp_path: Path, what: str, content: bytes) -> None:
    with pytest.raises(SourceError, match=rf"r\.json\.gz: this (is|holds) {what.strip()}|r\.json\.gz: {what}"):
        users(write(tmp_path / "r.json.gz", content))


def test_words_that_look_like_the_beginning_of_a_packed_file(tmp_path: Path) -> None:
    for beginning in ("BZh", "ORCID", "PK", "Rar!"):
        path = write(tmp_path / "r.csv", f"{beginning},user_id,item_id,rating,timestamp\n1,u1,i1,5,1718000000\n")
        assert users(path, "csv") == ["u1"]


def test_a_plain_file_is_read_from_a_byte_on_and_a_mark_at_its_beginning_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "r", codecs.BOM_UTF8 + b"one\ntwo\n")
    with opened(path, 7) as stream:
        assert stream.read() == b"two\n"
    assert head(path) == b"one\ntwo\n"
    assert compression(path) == "none"


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone: the file cannot be opened \(No such file or directory\)"):
        compression(tmp_path / "gone")
