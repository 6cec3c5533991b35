"""Know input files by their content: which of them were parsed before, under which settings, and by which run."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.core.errors import ConfigError, SourceError
from persona_pipeline.sources.adapters import Adapter
from persona_pipeline.sources.files import InputFile
from persona_pipeline.sources.shapes import recognise

USER_KEY = "PERSONA_USER_KEY"
"""Environment variable with the key of pseudonyms."""
_LEAST_KEY = 16
_CODE = (
    "adapters",
    "containers",
    "erased",
    "item_fields",
    "language",
    "markup",
    "near_duplicates",
    "nested",
    "parsing",
    "personal_data",
    "recognisers",
    "records",
    "shapes",
    "text",
    "values",
)
"""Modules of this room that decide how a record is parsed."""
_LIBRARIES = ("ftfy", "phonenumbers", "pycld2", "python-stdnum", "regex")
"""Libraries whose tables decide it with them; those of Python itself (Unicode, HTML) go by its version."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file of the night's input, the hash that says how it is parsed, and its row of `input_files` where a run parsed it."""

    file: InputFile
    digest: str
    parsed_file: str
    row: Row | None


def pseudonyms(config: ReviewsConfig, environment: Mapping[str, str] = os.environ) -> Callable[[str], str] | None:
    """Function from a user's id to the pseudonym; None where users keep their ids. Raises ConfigError without a proper key."""
    if not config.pseudonymous_users:
        return None
    key = environment.get(USER_KEY, "").encode()
    if len(key) < _LEAST_KEY:
        raise ConfigError(
            f"reviews.pseudonymous_users needs a key in the environment variable {USER_KEY}, of at least {_LEAST_KEY} characters; "
            f"{'it is not set' if not key else f'it has {len(key)}'}. Keep it: under another key everybody is somebody else"
        )
    return Pseudonym(hashlib.sha256(key).digest())


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """Name a user by a keyed hash of the id: 20 hexadecimal digits. The same key gives the same name, and no way back."""

    key: bytes

    def __call__(self, user_id: str) -> str:
        """The pseudonym of an id."""
        return hashlib.blake2b(user_id.encode(), digest_size=10, key=self.key).hexdigest()

    def __repr__(self) -> str:
        return "Pseudonym(...)"  # the key is nobody's to read


def parser_key(adapter: Adapter, config: ReviewsConfig, user_name: Callable[[str], str] | None, let_back: str) -> str:
    """Hash of all that decides how a record is parsed: adapter, cut, pseudonyms, who was let back in, and the program."""
    # The order of a set is another one in every process.
    told = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in asdict(adapter).items()}
    pseudonym = user_name("") if user_name else None
    parts = json.dumps([told, config.max_characters, pseudonym, let_back, _code()], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()


def parsed_name(digest: str, key: str) -> str:
    """Name under which a file is parsed: the hash of its content's digest and the `parser_key`."""
    return hashlib.sha256(f"{digest} {key}".encode()).hexdigest()[:16]


def known_files(files: Sequence[Row], key: str, before: Sequence[Row]) -> list[KnownFile]:
    """Match a run's files of reviews (kind, path, name, bytes, digest) with rows of `input_files`, by content and parser."""
    by_content = {row["parsed_file"]: row for row in before}
    found = []
    for row in files:
        path = Path(row["path"])
        parsed_file = parsed_name(row["digest"], key)
        seen = by_content.get(parsed_file)
        # Of a file that was parsed before, nothing is opened.
        shape = None if seen else recognise(path)
        found.append(
            KnownFile(InputFile(path, row["name"] or path.name, row["bytes"], shape), row["digest"], parsed_file, seen)
        )
    return found


def require_parsed(missing: Sequence[Row]) -> None:
    """Raise SourceError for increments of earlier nights that are neither in the input nor parsed any more."""
    if missing:
        names = ", ".join(row["name"] for row in missing[:3])
        raise SourceError(
            f"reviews: {len(missing):,} files of earlier nights ({names}) are not in the input, and what was parsed of "
            "them is gone, or was parsed under other settings. reviews.complete is false, so they count: put them back, or say "
            "reviews.complete: true"
        )


def require_named_apart(earlier: Sequence[Row]) -> None:
    """Raise SourceError for increments of earlier nights whose names other contents have tonight: they still count."""
    if earlier:
        names = ", ".join(row["name"] for row in earlier[:3])
        raise SourceError(
            f"reviews: {len(earlier):,} files ({names}) hold something else than files of these names that earlier nights read. "
            "reviews.complete is false, so those count too: give every increment a name of its own, or say "
            "reviews.complete: true where the input is all there is"
        )


def _code() -> str:
    here = Path(__file__).parent
    files = sorted(file for name in _CODE for file in (*here.glob(f"{name}.py"), *here.glob(f"{name}/*.py")))
    libraries = [f"{library} {version(library)}" for library in _LIBRARIES]
    told = "; ".join([f"python {sys.version_info.major}.{sys.version_info.minor}", *libraries])
    return hashlib.sha256(b"\0".join([told.encode(), *(file.read_bytes() for file in files)])).hexdigest()
