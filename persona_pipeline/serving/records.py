"""What `Recommendations` answers: plain frozen dataclasses; `dataclasses.asdict` makes JSON-ready dictionaries of them.

`recommendation_source` is the rung of the ladder an answer stands on:

    persona             the user's own history, against an item's personas made from reviews
    metadata_persona    the same, but the item is known by its metadata alone
    unusable_history    a user whose history holds only low ratings, or nothing that is known of: what most people like
    unknown_user        a user without a history: what most people like
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
    """A share of a score: of one past interaction, or of what `kind` says."""

    kind: str
    review_id: str | None
    item_id: str | None
    share: float
    item_title: str | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One row of a list, as `user_item_topk` or `default_topk` has it; default rows have no contributions."""

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
    """What an LLM was asked, and what it answered, verbatim. It shows sentences of reviews, and no names of their authors."""

    request_key: str
    system: str
    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Persona:
    """The persona a score rests on, and who made it.

    Attributes:
        stance: what these people make of the item: likes, mixed or dislikes.
        extractor_version: which prompts, model and code it was made with.
        model: what answered: an LLM, or of the embedded extractor the base model; None where that is not on record.
        prompt_pack: words of the domain the LLM was asked in; None where none was asked.
        request: to the LLM; None where none was asked, or the answer is on record elsewhere.
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
    """A span of the persona's evidence, and the review it is from; its personal data is masked, its author left out."""

    span: Span
    rating: float | None
    reviewed_at: datetime | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Objection:
    """What people hold against an item who dislike it; it recommends nothing, and is worth knowing."""

    persona_name: str
    rationale: str
    support: int
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """Everything behind one recommendation.

    Attributes:
        rank: place in the user's list; None for an item that is not in it.
        margin: how much nearer the user is to this persona than to the item's second-best, in cosine; None for an
            item with one persona, and for a user without a usable history.
        runner_up: that persona's name.
        contributions: the shares that add up to the score, largest first.
        objections: what others hold against the item.
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


def recommendations(rows: pa.Table, source: str | None = None) -> list[Recommendation]:
    """Rows of `user_item_topk` or `default_topk` by rank; `source` says on which rung, where the rows cannot know."""
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
