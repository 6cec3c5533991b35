"""Settings of the full fine-tune."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class FinetuneConfig(BaseModel):
    """How the base model is trained; which base and which data are arguments."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(1_000, ge=1, description="optimiser steps at most")
    batch_size: int = Field(1_024, ge=2, description="pairs per step over all processes, the negatives of one another")
    micro_batch_tokens: int = Field(
        32_768,
        ge=1,
        description="tokens one process passes through the model at once, padding included: what bounds memory",
    )
    max_tokens: int = Field(256, ge=16, description="tokens of a text the model reads; the rest is ignored")
    learning_rate: float = Field(1e-5, gt=0, description="peak learning rate of the model")
    warmup_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of the steps in which the rate rises; it falls linearly to zero in the others",
    )
    weight_decay: float = Field(0.01, ge=0, description="AdamW's, of weight matrices")
    max_gradient_norm: float = Field(1.0, gt=0, description="a longer gradient of the model is cut to this length")
    temperature: float = Field(0.1, gt=0, description="tau of the first step")
    min_temperature: float = Field(0.02, gt=0, description="tau is learned, never below this")
    max_temperature: float = Field(0.5, gt=0, description="nor above this")
    temperature_learning_rate: float = Field(1e-3, ge=0, description="peak learning rate of log tau; 0: tau stays")
    aggregation: Literal["softmax", "max"] = Field("softmax", description="how an item's personas combine")
    near_duplicate: float = Field(
        0.95,
        ge=-1,
        le=1,
        description="an item with a persona nearer than this to the pair's own, by cosine of the untrained base, is no negative",
    )
    dropout: bool = Field(False, description="train with the base's own dropout")
    validation_share: float = Field(
        0.05, ge=0, lt=1, description="share of the users whose pairs are held out to stop by; 0: all steps are made"
    )
    validate_every: int = Field(100, ge=1, description="steps between two looks at the held-out pairs")
    patience: int = Field(
        3, ge=1, description="looks without a lower loss after which training stops; the best is kept"
    )
    checkpoint_every: int = Field(200, ge=1, description="steps between two checkpoints: the most a crash can cost")
    seed: int = Field(0, description="of batch order, held-out users and dropout")

    @model_validator(mode="after")
    def _temperature_within_bounds(self) -> Self:
        if not self.min_temperature <= self.temperature <= self.max_temperature:
            raise ValueError(
                f"temperature {self.temperature} is not between min_temperature {self.min_temperature} "
                f"and max_temperature {self.max_temperature}"
            )
        return self
