"""Define settings of a synthetic world: sizes, calendar, choice model, and shares of textual noise."""

import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MIN_REVIEWS = 3
"""Reviews of a user who is not cold; a cold user writes one or two."""


class SyntheticConfig(BaseModel):
    """Frozen; unknown keys are refused. Equal configurations give byte-identical files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, ge=0, description="seed of everything drawn")
    n_users: int = Field(default=1_200, ge=1, description="people who write at least one review")
    n_items: int = Field(default=300, ge=2, description="items in the catalogue, those nobody reviewed included")
    n_reviews: int = Field(default=6_000, ge=1, description="review lines, repeated ones included")
    n_latent_personas: int = Field(
        default=24, ge=2, le=24, description="latent personas, from the top of personas.yaml"
    )
    start: datetime.date = Field(default=datetime.date(2024, 1, 1), description="first day, UTC")
    days: int = Field(default=540, ge=30, description="length of the window; day numbers run from 0 to days - 1")

    popularity_slope: float = Field(
        default=1.0, ge=0, description="base popularity is rank to the power of minus this (Zipf)"
    )
    popularity_exponent: float = Field(
        default=0.6, ge=0, description="choice is proportional to base popularity to this power, times the match"
    )
    impulse_share: float = Field(
        default=0.08, ge=0, lt=1, description="choices that look at popularity alone, within the persona's categories"
    )

    cold_user_share: float = Field(default=0.15, ge=0, lt=1, description="users with one or two reviews")
    drift_share: float = Field(
        default=0.2, ge=0, le=1, description="users, cold ones excepted, whose mixture changes on a day"
    )
    new_item_share: float = Field(
        default=0.06, ge=0, lt=1, description="items launched in the last `new_item_days` days"
    )
    new_item_days: int = Field(default=28, ge=1, description="how recent a new item is")
    unreviewed_item_share: float = Field(
        default=0.02, ge=0, lt=1, description="items launched the day after the last review: no review at all"
    )

    off_topic_share: float = Field(
        default=0.1, ge=0, le=1, description="reviews without a word of any persona (delivery, bare praise)"
    )
    contradictory_share: float = Field(
        default=0.05, ge=0, le=1, description="reviews in another persona's words, or against their own rating"
    )
    repeat_share: float = Field(
        default=0.005, ge=0, lt=0.5, description="reviews that repeat an earlier one of the same user and item"
    )
    typo_share: float = Field(default=0.15, ge=0, le=1, description="reviews with misspelt words")
    shorthand_share: float = Field(
        default=0.08, ge=0, le=1, description="reviews with abbreviations, lower case only or no full stops"
    )
    emoji_share: float = Field(default=0.06, ge=0, le=1, description="reviews with an emoji")
    html_share: float = Field(
        default=0.02, ge=0, le=1, description="reviews with line-break tags or escaped characters"
    )
    contact_share: float = Field(
        default=0.003, ge=0, le=1, description="reviews with an e-mail address or a phone number (reserved ones)"
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        first_reviews = self.n_reviews - self.n_repeats
        least = self.n_cold_users + MIN_REVIEWS * (self.n_users - self.n_cold_users)
        if first_reviews < least:
            raise ValueError(
                f"n_reviews={self.n_reviews} is too few for n_users={self.n_users}: at least {least} and the repeated ones"
            )
        if first_reviews > self.n_users * self.max_reviews_per_user / 2:
            raise ValueError(
                f"n_reviews={self.n_reviews} is too many for n_users={self.n_users}, n_items={self.n_items}: nobody reviews an "
                f"item twice, and a user writes at most {self.max_reviews_per_user}; half of that on average is possible"
            )
        if self.off_topic_share + self.contradictory_share > 1:
            raise ValueError("off_topic_share and contradictory_share exceed 1 together")
        if self.new_item_days >= self.days:
            raise ValueError(f"new_item_days={self.new_item_days} must be shorter than days={self.days}")
        return self

    @property
    def start_timestamp(self) -> int:
        """Epoch seconds of day 0, 00:00 UTC."""
        return int(datetime.datetime.combine(self.start, datetime.time(), datetime.UTC).timestamp())

    @property
    def end_timestamp(self) -> int:
        """Epoch seconds of the end of the window, exclusive."""
        return self.start_timestamp + 86_400 * self.days

    @property
    def n_cold_users(self) -> int:
        """Users with one or two reviews."""
        return round(self.cold_user_share * self.n_users)

    @property
    def n_repeats(self) -> int:
        """Reviews that repeat an earlier one by the same user of the same item."""
        return round(self.repeat_share * self.n_reviews)

    @property
    def n_unreviewed_items(self) -> int:
        """Items nobody reviews."""
        return round(self.unreviewed_item_share * self.n_items)

    @property
    def n_new_items(self) -> int:
        """Items whose first review falls in the last weeks."""
        return round(self.new_item_share * self.n_items)

    @property
    def max_reviews_per_user(self) -> int:
        """A bound that leaves unseen items to choose from: a persona buys in two of at most eight categories."""
        return max(MIN_REVIEWS + 1, min(120, self.n_items // 6))
