"""Compute metrics of rankings in the paper's published file formats: `persona-pipeline evaluate-ranking`.

Candidates are JSON lines `{"user_id", "results": [{"item_id"}, ...]}`, best first; the ground truth is JSON lines
`{"user_id", "item_id"}`, as many of a user as there are targets; reviews are JSON lines with at least `user_id` and
`item_id`, one a training interaction. Each file is plain or, ending in .gz, gzip.

On the paper's example the figures are those of the published evaluation code:

- "[PAD]" in a list is a place that holds nothing. It keeps its place, so what follows is ranked no better for it.
- Users in one of the two files only are not evaluated. The published code says nothing of them; here they are counted.

Where inputs are less tidy than the example, the two differ: a user with an empty list is a miss here and left out
there; NDCG, with several targets, counts them all here and only the first one found there.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persona_pipeline.core.errors import SourceError
from persona_pipeline.evaluate.metrics import CUTOFFS, RelevantItems, per_user
from persona_pipeline.evaluate.ranking_figures import Figure, Ranking
from persona_pipeline.evaluate.significance import estimate
from persona_pipeline.evaluate.slices import ALL, Slice, make_slices

PAD = "[PAD]"
_INTERACTION = '{"user_id": "...", "item_id": "..."}'

Name = Annotated[str, Field(min_length=1)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)  # further keys are welcome


class _Place(_Line):
    item_id: Name


class _Candidates(_Line):
    user_id: Name
    results: list[_Place]


class _Interaction(_Line):
    user_id: Name
    item_id: Name


Parsed = TypeVar("Parsed", bound=_Line)


def evaluate_published(candidates: Path, ground_truth: Path, reviews: Path | None = None) -> Ranking:
    """Compute the metrics of a published ranking, by slice where training interactions are given.

    Raises SourceError naming file, line and key of malformed input, and where no user is in both files.
    """
    lists, wanted = read_candidates(candidates), read_truth(ground_truth)
    users = sorted(lists.keys() & wanted.keys())
    if not users:
        raise SourceError(
            f"{candidates} and {ground_truth} have no user_id in common "
            f"({next(iter(lists))} in the one, {next(iter(wanted))} in the other)"
        )
    user_counts, item_counts = (Counter[str](), Counter[str]()) if reviews is None else count_reviews(reviews)
    catalogue = sorted({item for found in (*lists.values(), *wanted.values(), item_counts) for item in found} - {PAD})
    places = {item: place for place, item in enumerate(catalogue)} | {PAD: -1}
    ranked = np.full((len(users), max(CUTOFFS)), -1, dtype=np.int64)
    for row, user in enumerate(users):
        head = [places[item] for item in lists[user][: ranked.shape[1]]]
        ranked[row, : len(head)] = head
    offsets = np.cumsum([0, *(len(wanted[user]) for user in users)])
    truth = RelevantItems(np.array([places[item] for user in users for item in wanted[user]]), offsets)
    slices = make_slices(
        truth, np.array([user_counts[user] for user in users]), np.array([item_counts[item] for item in catalogue])
    )
    slices = slices if reviews is not None else {ALL: slices[ALL]}
    return Ranking(
        users={name: int(part.users.sum()) for name, part in slices.items()},
        figures={name: _figures(ranked, truth, part) for name, part in slices.items() if part.users.any()},
        without_truth=sorted(lists.keys() - wanted.keys()),
        without_candidates=sorted(wanted.keys() - lists.keys()),
        without_reviews=[] if reviews is None else [user for user in users if not user_counts[user]],
    )


def read_candidates(file: Path) -> dict[str, list[str]]:
    """Read each user's list, "[PAD]" included. Raises SourceError for a malformed line, or a repeated user or item."""
    lists: dict[str, list[str]] = {}
    for number, line in _parsed(file, _Candidates, '{"user_id": "...", "results": [{"item_id": "..."}, ...]}'):
        if line.user_id in lists:
            raise SourceError(f"{file}, line {number}: user_id {line.user_id} has a line before; expected one a user")
        items = [place.item_id for place in line.results]
        repeated = [item for item, times in Counter(items).items() if times > 1 and item != PAD]
        if repeated:
            raise SourceError(
                f"{file}, line {number}: results hold item_id {repeated[0]} more than once; expected each item once a list"
            )
        lists[line.user_id] = items
    return lists


def read_truth(file: Path) -> dict[str, list[str]]:
    """Read each user's distinct targets. Raises SourceError for a malformed line."""
    wanted: dict[str, dict[str, None]] = {}
    for number, line in _parsed(file, _Interaction, _INTERACTION):
        if line.item_id == PAD:
            raise SourceError(f"{file}, line {number}: item_id is {PAD}, which stands for no item; expected a target")
        wanted.setdefault(line.user_id, {})[line.item_id] = None
    return {user: list(items) for user, items in wanted.items()}


def count_reviews(file: Path) -> tuple[Counter[str], Counter[str]]:
    """Count interactions by user and by item. Raises SourceError for a malformed line."""
    users, items = Counter[str](), Counter[str]()
    for _, line in _parsed(file, _Interaction, _INTERACTION):
        users[line.user_id] += 1
        items[line.item_id] += 1
    return users, items


def _figures(ranked: np.ndarray, truth: RelevantItems, part: Slice) -> dict[str, Figure]:
    values = per_user(ranked[part.users], truth.only(part.targets).of(part.users))
    found = estimate(np.stack(list(values.values()), axis=1))
    columns = zip(values, found.value, found.low, found.high, strict=True)
    return {name: Figure(value=value, low=low, high=high) for name, value, low, high in columns}


def _parsed(file: Path, model: type[Parsed], expected: str) -> Iterator[tuple[int, Parsed]]:
    """Parse lines, with their numbers; blank lines are skipped."""
    number = 0
    for number, text in _lines(file):
        try:
            yield number, model.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            where = f"key {key}: " if key else ""
            raise SourceError(f"{file}, line {number}: {where}{first['msg']}; expected {expected}") from error
    if not number:
        raise SourceError(f"{file}: the file is empty; expected lines like {expected}")


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{file}: gzip file is truncated or damaged after line {number:,} ({error})") from error
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}") from error
