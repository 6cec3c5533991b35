"""A file is hashed and checked once, as long as nothing is done to it; one that an earlier night parsed is whole."""

import gzip
import hashlib
from pathlib import Path
from typing import Any

import pytest
from reading import json_lines, lines, write

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources import digests
from persona_pipeline.sources.adapters import adapter
from persona_pipeline.sources.digests import digest_of, require_whole
from persona_pipeline.sources.files import check_files


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = write(tmp_path / "r.jsonl", "one\n"), hashlib.file_digest
    hashed: list[str] = []

    def counting(stream: Any, algorithm: str) -> Any:
        hashed.append(algorithm)
        return real(stream, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", counting)
    assert digest_of(path) == digest_of(path) == hashlib.sha256(b"one\n").hexdigest()
    write(path, "more\n")
    assert digest_of(path) == hashlib.sha256(b"more\n").hexdigest()
    assert len(hashed) == 2
    with pytest.raises(SourceError, match="gone: cannot be read: No such file"):
        digest_of(tmp_path / "gone")


def test_a_file_is_checked_to_its_end_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Path] = []
    monkeypatch.setattr(digests, "check_whole", checked.append)
    path = write(tmp_path / "r.jsonl.gz", gzip.compress(b"{}\n"))
    require_whole(path)
    require_whole(path)
    assert checked == [path]


def test_a_file_that_an_earlier_night_parsed_is_not_read_to_its_end(tmp_path: Path) -> None:
    words = [{**row, "text": f"{n * 7919**9:x}"} for n, row in enumerate(lines(20_000))]
    path = write(tmp_path / "r.jsonl.gz", gzip.compress(json_lines(words).encode())[:-100])
    with pytest.raises(SourceError, match="truncated"):
        check_files(path, "reviews", adapter("jsonl"), {"another"})
    (file,) = check_files(path, "reviews", adapter("jsonl"), {digest_of(path)})
    assert file.path == path
