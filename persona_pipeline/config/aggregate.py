"""Define settings of `item_reviews` and `user_histories`: bounds on evidence and history length."""

from pydantic import Field

from persona_pipeline.config.stage import StageConfig


class ItemReviewsConfig(StageConfig):
    """Choosing each item's evidence."""

    max_reviews: int = Field(60, ge=1, description="evidence reviews kept per item")
    max_bytes: int = Field(
        2**20,
        ge=1_000,
        description="bytes of their titles and texts together; the most useful one is kept whatever its size",
    )


class UserHistoriesConfig(StageConfig):
    """Recent interactions of each user."""

    length: int = Field(20, ge=1, description="most recent interactions kept per user")
