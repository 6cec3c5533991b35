"""Define the result types of `Recommendations`: frozen dataclasses; `dataclasses.asdict` gives JSON-ready dictionaries.

`recommendation_source` is the fallback level of a recommendation:

    persona             the user's own history, against an item's personas made from reviews
    metadata_persona    the same, but the item has no reviews, only metadata
    unusable_history    a user whose history holds only low ratings or unknown items: popularity list
    unknown_user        a user without a history: popularity list
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

PERSONA, METADATA_PERSONA = "persona", "metadata_persona"
UNUSABLE_HISTORY, UNKNOWN_USER = "unusable_history", "unknown_user"


@dataclass(frozen=True, slots=True)
class Span:
    """Evidence: a verbatim span of a review, or of a column of `items`."""

    kind: str
    ref: str
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """A share of a score: of one past interaction, or of the term named by `kind`."""

    kind: str
    review_id: str | None
    item_id: str | None
    share: float
    item_title: str | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One row of a list, from `user_item_topk` or `default_topk`; default rows have no contributions."""

    rank: int
    item_id: str
    item_title: str | None
    score: float
    persona_id: str
    persona_name: str
    explanation: str
    recommendation_source: str
    encoder_id: str
    changed_as_of: date
    evidence: tuple[Span, ...]
    contributions: tuple[Contribution, ...] = ()


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """An LLM request and its response, verbatim. It shows sentences of reviews, and no names of their authors."""

    request_key: str
    system: str
    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Persona:
    """The persona a score rests on, and its origin.

    Attributes:
        stance: towards the item: likes, mixed or dislikes.
        extractor_version: hash of the prompts, model and code that made it.
        model: the LLM, or the base model of the embedded extractor; None where that is not recorded.
        prompt_pack: domain words of the LLM's prompts; None without an LLM.
        request: to the LLM; None without an LLM, or where the response is cached in another warehouse.
    """

    persona_id: str
    name: str
    description: str
    rationale: str
    support: int
    mean_rating: float | None
    persona_source: str
    stance: str
    extractor_version: str
    model: str | None
    prompt_pack: str | None
    request: LlmRequest | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """A span of the persona's evidence, with its review; personal data is masked, the author left out."""

    span: Span
    rating: float | None
    reviewed_at: datetime | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Objection:
    """A persona that dislikes the item: shown as an objection, never a reason to recommend it."""

    persona_name: str
    rationale: str
    support: int
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """Everything behind one recommendation.

    Attributes:
        rank: in the user's list; None for an item that is not in it.
        margin: how much nearer the user is to this persona than to the item's second-best, in cosine; None for an
            item with one persona, and for a user without a usable history.
        runner_up: the second-best persona's name.
        contributions: the shares that add up to the score, largest first.
        objections: personas that dislike the item.
        ineligible: why the item may not be recommended to the user; None where it may.
    """

    user_id: str
    item_id: str
    item_title: str | None
    rank: int | None
    score: float
    explanation: str
    recommendation_source: str
    persona: Persona
    margin: float | None
    runner_up: str | None
    contributions: tuple[Contribution, ...]
    quotes: tuple[Quote, ...]
    objections: tuple[Objection, ...]
    encoder_id: str
    base_model: str
    release_id: str
    as_of: date
    ineligible: str | None = None


def recommendations(rows: pa.Table, source: str | None = None) -> list[Recommendation]:
    """Convert rows of `user_item_topk` or `default_topk` by rank; `source` is the fallback level, where the rows lack it."""
    # Column by column: a Python object for every nested value at once takes several times as long.
    columns: dict[str, Sequence[Any]] = {
        name: rows[name].to_pylist() for name in rows.column_names if name not in ("evidence", "contributions")
    }
    if source:
        columns["recommendation_source"] = [source] * rows.num_rows
    columns["evidence"] = _structs(rows["evidence"], Span)
    if "contributions" in rows.column_names:
        columns["contributions"] = _structs(rows["contributions"], Contribution)
    found = [
        Recommendation(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)
    ]
    return sorted(found, key=lambda row: row.rank)


def _structs(column: pa.ChunkedArray, kind: type[Any]) -> list[tuple[Any, ...]]:
    lists = column.combine_chunks()
    flat = lists.flatten()
    stored = {field.name for field in flat.type}
    made = list(map(kind, *(flat.field(field.name).to_pylist() for field in fields(kind) if field.name in stored)))
    ends = [0, *pc.list_value_length(lists).to_numpy(zero_copy_only=False).cumsum().tolist()]
    return [tuple(made[start:end]) for start, end in pairwise(ends)]
