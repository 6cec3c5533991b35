"""The packaged `motives.yaml` becomes typed vocabulary: what people may like or dislike, and how to say it."""

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import yaml

from persona_pipeline.extract.protocol import ASPECT_NAMES, AspectName


@dataclass(frozen=True, eq=False)
class Motive:
    """One reason to like or dislike a thing. The texts are documented in `motives.yaml`."""

    key: str
    index: int  # place in the vocabulary, and in `Remark.fits`
    aspect: AspectName
    critical: bool
    parent: str | None
    weight: float
    names: tuple[str, ...]
    describe: tuple[str, ...]
    detail: str
    value: str
    rationale: tuple[str, ...]
    prototypes: tuple[str, ...]
    cue: re.Pattern[str]
    mentions: tuple[tuple[re.Pattern[str], str], ...]

    @property
    def tells_who(self) -> bool:
        """Whether it says who somebody is, not only what they value."""
        return self.aspect != "quality_criteria"


@dataclass(frozen=True, eq=False)
class Wording:
    """Names and sentences for a cluster that no motive gathers."""

    names: tuple[str, ...]
    describe: tuple[str, ...]
    rationale: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Everything the file says, and `digest`, which changes with it."""

    motives: tuple[Motive, ...]
    people: tuple[tuple[str, re.Pattern[str]], ...]
    empty: tuple[str, ...]
    sentences: Mapping[str, Sequence[str]]
    liking: frozenset[str]
    disliking: frozenset[str]
    theme: Wording
    owners: Wording
    general: Wording
    critical_general: Wording
    digest: str

    @functools.cached_property
    def critical(self) -> np.ndarray:
        """(motives,), whether each is a complaint."""
        return np.array([motive.critical for motive in self.motives])

    @functools.cached_property
    def tells_who(self) -> np.ndarray:
        """(motives,), whether each says who somebody is."""
        return np.array([motive.tells_who for motive in self.motives])

    @functools.cached_property
    def by_key(self) -> dict[str, Motive]:
        """Motives by their key in the file."""
        return {motive.key: motive for motive in self.motives}

    @functools.cached_property
    def prototypes(self) -> tuple[list[str], list[int]]:
        """All prototype sentences, motive by motive and then the empty ones, and where each block starts."""
        blocks = [*(motive.prototypes for motive in self.motives), self.empty]
        starts = [sum(map(len, blocks[:i])) for i in range(len(blocks))]
        return [text for block in blocks for text in block], starts


@functools.cache
def load_vocabulary() -> Vocabulary:
    """Read the packaged file. Raises ValueError or KeyError naming what is wrong in it."""
    raw = (resources.files(__package__) / "motives.yaml").read_bytes()
    data = yaml.safe_load(raw)
    return Vocabulary(
        motives=tuple(_motive(key, i, entry) for i, (key, entry) in enumerate(data["motives"].items())),
        people=tuple((name, _whole_words([pattern])) for name, pattern in data["people"].items()),
        empty=tuple(data["empty"]),
        sentences=data["sentences"],
        liking=frozenset(data["liking"].split()),
        disliking=frozenset(data["disliking"].split()),
        theme=_wording(data["theme"]),
        owners=_wording(data["owners"]),
        general=_wording(data["general"]),
        critical_general=_wording(data["critical_general"]),
        digest=hashlib.sha256(raw).hexdigest()[:16],
    )


def _motive(key: str, index: int, entry: Mapping[str, Any]) -> Motive:
    if entry["aspect"] not in ASPECT_NAMES:
        raise ValueError(f"motives.yaml: {key}: unknown aspect {entry['aspect']!r}")
    return Motive(
        key=key,
        index=index,
        aspect=entry["aspect"],
        critical=entry.get("critical", False),
        parent=entry.get("parent"),
        weight=entry.get("weight", 1.0),
        names=tuple(entry["names"]),
        describe=tuple(entry["describe"]),
        detail=entry.get("detail", ""),
        value=entry["value"],
        rationale=tuple(entry["rationale"]),
        prototypes=tuple(entry["prototypes"]),
        cue=_whole_words(entry["cues"]),
        mentions=tuple((_whole_words([pattern]), phrase) for pattern, phrase in entry.get("mentions", {}).items()),
    )


def _wording(entry: Mapping[str, Sequence[str]]) -> Wording:
    return Wording(tuple(entry["names"]), tuple(entry["describe"]), tuple(entry["rationale"]))


def _whole_words(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})(?!\w)", re.IGNORECASE)
