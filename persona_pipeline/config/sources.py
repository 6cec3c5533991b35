"""Define settings of the input jobs (`reviews`, `items`, `candidates`): limits on rejected lines, hold-out file."""

from pydantic import Field, field_validator

from persona_pipeline.config.stage import StageConfig


class ReviewsConfig(StageConfig):
    """Reading and cleaning reviews and items."""

    OPERATIONAL = frozenset({"max_rejected_share"})

    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="the task fails when a larger share of input lines is refused"
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
        description="Parquet file with a column review_id: reviews a backtest keeps from the night; empty: none",
    )

    @field_validator("spam_users")
    @classmethod
    def _not_everybody(cls, users: int) -> int:
        if users == 1:
            raise ValueError("every text has one user: say 0 to mark none, or at least 2")
        return users


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
