"""Define the sizes of a large synthetic input."""

import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from persona_pipeline.core.errors import ConfigError

BLOCK = 1_000
"""Lines in which every kind of line occurs its share of times."""


class LargeConfig(BaseModel):
    """Frozen; unknown keys are refused. Equal configurations give equal files, whatever Spark runs on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_reviews: int = Field(
        default=1_000_000, ge=BLOCK, description="lines of reviews, repeated and broken ones included"
    )
    n_users: int = Field(default=100_000, ge=2, description="people who write reviews")
    n_items: int = Field(default=20_000, ge=200, description="items, those nobody reviewed included")
    seed: int = Field(default=0, ge=0, description="seed of everything drawn")
    start: datetime.date = Field(default=datetime.date(2014, 1, 1), description="first day, UTC")
    days: int = Field(default=3_650, ge=60, description="length of the window; the night after it is the first")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.n_reviews < self.n_users * 3 // 2:
            raise ValueError(f"n_reviews={self.n_reviews} is too few for n_users={self.n_users}: 1.5 a user at least")
        if self.n_reviews > 100 * self.n_users:
            raise ValueError(f"n_reviews={self.n_reviews} is too many for n_users={self.n_users}: 100 a user at most")
        if self.n_reviews > 50 * self.n_items:
            # One user reviews a hundredth of all, and no item twice.
            raise ValueError(f"n_reviews={self.n_reviews} is too many for n_items={self.n_items}: 50 an item at most")
        return self

    @property
    def as_of(self) -> datetime.date:
        """The first night: every review but those dated into the future is before it."""
        return self.start + datetime.timedelta(days=self.days)

    @property
    def n_files(self) -> int:
        """Files of reviews, of about a quarter of a million lines each."""
        return max(1, self.n_reviews // 250_000)


def large_config(**sizes: int) -> LargeConfig:
    """Make a configuration from what a person gave. Raises ConfigError where it does not fit, saying why."""
    try:
        return LargeConfig(**sizes)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'sizes'}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        )
        raise ConfigError(f"synthetic: {told}") from error
