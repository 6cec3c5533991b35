"""Define settings of the input jobs (`reviews`, `items`, `interactions`, `candidates`): limits, names, weights, hold-out."""

from typing import Annotated

from pydantic import Field

from persona_pipeline.config.stage import StageConfig


class ReviewsConfig(StageConfig):
    """Reading and cleaning reviews and items."""

    OPERATIONAL = frozenset({"max_rejected_share"})

    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="the task fails when a larger share of input lines is refused"
    )
    max_characters: int = Field(8_000, ge=100, description="a longer review is cut here, at a word")
    withheld: str = Field(
        "",
        description="Parquet file with a column review_id: reviews, and events by their interaction_id, that a backtest keeps "
        "from the night; empty: none",
    )


Weight = Annotated[float, Field(ge=-1, le=1)]


class InteractionsConfig(StageConfig):
    """Events that are not reviews: bought, played, returned."""

    OPERATIONAL = frozenset({"max_rejected_share"})

    file: str = Field("", description="file of events, or a folder of them; empty: none")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="the file's own names of user_id, item_id, timestamp, kind, weight and interaction_id, where they differ",
    )
    weights: dict[str, Weight] = Field(
        default_factory=lambda: {"event": 1.0},
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
        0.05, ge=0, le=1, description="the task fails when a larger share of the lines is refused"
    )


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
