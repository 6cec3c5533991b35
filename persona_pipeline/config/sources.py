"""Define settings of the input jobs: limits, names, scales and weights, hold-out, and what may be recommended."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import Field, field_validator

from persona_pipeline.config.stage import StageConfig

REVIEW_FIELDS = ("review_id", "user_id", "item_id", "rating", "title", "text", "timestamp")
"""Canonical fields of a review."""
EVENT_FIELDS = ("interaction_id", "user_id", "item_id", "kind", "weight", "timestamp")
"""Canonical fields of an event."""
ITEM_FIELDS = ("item_id", "title", "creator", "categories", "description")
"""Canonical fields of an item's metadata."""


class ReviewsConfig(StageConfig):
    """Reading and cleaning reviews and items."""

    OPERATIONAL = frozenset({"max_rejected_share", "quiet_seconds", "wait_minutes", "expect_success"})

    columns: dict[str, str | None] = Field(
        {},
        description="keys of the files by canonical field (review_id, user_id, item_id, rating, title, text, timestamp), where "
        "they are not the source's own; `a.b` is the key b of the object under a; null: the files have no such field",
    )
    item_columns: dict[str, str | None] = Field(
        {}, description="the same for metadata of items (item_id, title, creator, categories, description)"
    )
    rating_scale: tuple[float, float] | None = Field(
        None,
        description="lowest and highest rating of the files, taken to 1 to 5; null: the source's own, mostly 1 to 5",
    )
    time_format: str | None = Field(
        None, description="of timestamps, in the letters of Python's strptime (%d.%m.%Y); null: recognised"
    )
    complete: bool = Field(
        True,
        description="the input is all there is: reviews of files that are gone are withdrawn. false: files are increments, and "
        "those read on earlier nights go on to count",
    )
    withdrawn: str = Field(
        "",
        description="file of ids of reviews that are withdrawn: one a line, or Parquet with a column review_id; empty: none",
    )
    pseudonymous_users: bool = Field(
        False,
        description="users are named by a keyed hash of their id, in every table; the key comes from the environment variable "
        "PERSONA_USER_KEY",
    )
    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="the task fails when a larger share of input records is refused"
    )
    max_characters: int = Field(8_000, ge=100, description="a longer review is cut here, at a word")
    spam_users: int = Field(
        5,
        ge=0,
        description="a text that so many users have, or nearly so, is copy-paste spam and no evidence; 0: none is",
    )
    spam_items: int = Field(
        10, ge=2, description="so is a text that one user has on so many items, for that user's reviews"
    )
    withheld: str = Field(
        "",
        description="Parquet file with a column review_id: reviews, and events by their interaction_id, that a backtest keeps "
        "from the night; empty: none",
    )
    quiet_seconds: float = Field(
        60, ge=0, description="a folder is taken to be still filled while a file in it is younger; 0: never"
    )
    wait_minutes: float = Field(
        30, ge=0, description="how long a folder that is still filled is waited for, before the task fails"
    )
    expect_success: bool = Field(False, description="a folder is read once it holds a file _SUCCESS, and not before")

    @field_validator("columns")
    @classmethod
    def _of_reviews(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        return _known(value, REVIEW_FIELDS, ("user_id", "item_id", "rating", "timestamp"))

    @field_validator("item_columns")
    @classmethod
    def _of_items(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        return _known(value, ITEM_FIELDS, ("item_id",))

    @field_validator("rating_scale")
    @classmethod
    def _ascending(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value and value[0] >= value[1]:
            raise ValueError("the lowest rating comes first, then the highest")
        return value

    @field_validator("time_format")
    @classmethod
    def _of_a_day(cls, value: str | None) -> str | None:
        if value is None:
            return None
        moment = datetime(2024, 11, 23, 17, 58, 49)
        try:
            read = datetime.strptime(moment.strftime(value), value)
        except (ValueError, re.error) as error:
            raise ValueError(f"{value!r} is no format of strptime ({error}); an example is %d.%m.%Y") from error
        if read.date() != moment.date():
            raise ValueError(f"{value!r} leaves out a part of the date; an example is %d.%m.%Y")
        return value

    @field_validator("spam_users")
    @classmethod
    def _not_everybody(cls, users: int) -> int:
        if users == 1:
            raise ValueError("every text has one user: say 0 to mark none, or at least 2")
        return users


def _known(columns: dict[str, str | None], fields: tuple[str, ...], required: tuple[str, ...]) -> dict[str, str | None]:
    strangers = sorted(set(columns) - set(fields))
    if strangers:
        raise ValueError(f"{', '.join(strangers)}: no such field; there are {', '.join(fields)}")
    if absent := [name for name in required if name in columns and not columns[name]]:
        raise ValueError(f"{', '.join(absent)}: every record needs it, so it cannot be null")
    return columns


Weight = Annotated[float, Field(ge=-1, le=1)]


class InteractionsConfig(StageConfig):
    """Events that are not reviews: bought, played, returned."""

    OPERATIONAL = frozenset({"max_rejected_share"})

    file: str = Field("", description="file of events, or a folder of them; empty: none")
    source: str = Field(
        "",
        description="adapter of the file: jsonl, csv, parquet or movielens; empty: movielens where the night's source is, else "
        "whichever of the other three it is",
    )
    columns: dict[str, str | None] = Field(
        {},
        description="keys of the file by canonical field (interaction_id, user_id, item_id, kind, weight, timestamp), as in "
        "`reviews.columns`",
    )
    time_format: str | None = Field(
        None, description="of timestamps, in the letters of Python's strptime; null: recognised"
    )
    weights: dict[str, Weight] = Field(
        {"event": 1.0},
        description="by kind, what an event says from -1 to 1, unless its line has a weight: 1 as much as a review, below 0 "
        "dislike; event is the kind of lines that name none",
    )
    default_weight: Weight | None = Field(
        None, description="of kinds that `weights` does not name; null: such events are refused"
    )
    seen_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="an item is recommended again after events whose weights, their sign aside, are below this: clicks, not "
        "purchases",
    )
    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="the task fails when a larger share of the records is refused"
    )

    @field_validator("columns")
    @classmethod
    def _of_events(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        return _known(value, EVENT_FIELDS, ("user_id", "item_id", "timestamp"))


class CandidatesConfig(StageConfig):
    """Lists of another recommender, to be reranked."""

    OPERATIONAL = frozenset({"max_rejected_share", "max_unknown_share"})

    file: str = Field(
        "",
        description="Parquet, JSON lines or CSV with user_id, item_id and score or rank, or a folder of one of them; empty: none",
    )
    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="the task fails when a larger share of the rows is refused"
    )
    blind: bool = Field(
        False, description="the lists were made without any interaction that a backtest withholds; it refuses others"
    )
    max_unknown_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="the task fails when a larger share of the rows names a user or an item the night lacks",
    )


class EligibilityConfig(StageConfig):
    """Which items may be recommended tonight, and what users do not want to see."""

    file: str = Field(
        "",
        description="Parquet, JSON lines or CSV, or a folder of one of them, with item_id and any of from, until (dates) and "
        "reason: an item it names is recommended inside its windows alone; empty: every item",
    )
    full_catalogue: bool = Field(
        False,
        description="the file of items names every item that is sold: another one is delisted, and recommended to nobody",
    )
    blocks: str = Field(
        "",
        description="Parquet, JSON lines or CSV, or a folder of one of them, with user_id and item_id, creator or category: what "
        "is never recommended to that user; empty: nothing",
    )
