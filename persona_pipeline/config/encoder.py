"""Define settings of `training_pairs` and `encoders`: head, fine-tune, score fusion, hyperparameter search, retraining, gate."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from persona_pipeline.config.stage import StageConfig

CONTENT_FIELDS = ("title", "creator", "categories", "description")
"""Columns of `items` that tell what an item is; `encoders` has a weight for each."""


class TrainingPairsConfig(StageConfig):
    """Which interactions the encoder learns from."""

    min_liked_rating: float = Field(
        2.0,
        description="an interaction rated lower, or an event of no positive weight, is no training target and not part of a user's "
        "vector: a disliked item does not pull. A lukewarm one still predicts what a user buys next",
    )


class FinetuneConfig(StageConfig):
    """How the base model itself is trained, where the method is `full`."""

    OPERATIONAL = frozenset({"processes", "micro_batch_tokens", "checkpoint_every"})

    processes: int = Field(
        1, ge=1, description="torchrun's processes in a night, one a GPU; the command itself has its own"
    )

    steps: int = Field(1_000, ge=1, description="optimiser steps at most")
    batch_size: int = Field(1_024, ge=2, description="pairs per step over all processes, the negatives of one another")
    micro_batch_tokens: int = Field(
        32_768,
        ge=1,
        description="tokens one process passes through the model at once, padding included: what bounds memory",
    )
    evidence_per_item: int = Field(
        4,
        ge=1,
        description="evidence reviews a step draws to estimate the profile of an item; each is a text to encode",
    )
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
    seed: int = Field(0, description="of batch order, drawn evidence and dropout")

    @model_validator(mode="after")
    def _temperature_within_bounds(self) -> Self:
        if not self.min_temperature <= self.temperature <= self.max_temperature:
            raise ValueError(
                f"temperature {self.temperature} is not between min_temperature {self.min_temperature} "
                f"and max_temperature {self.max_temperature}"
            )
        return self


class EncodersConfig(StageConfig):
    """Settings of the contrastive head, its base model, the hyperparameter search, and the retrain policy."""

    OPERATIONAL = frozenset({"prior_engine", "retrain_every_days", "gate_margin"})

    TUNABLE: ClassVar[tuple[str, ...]] = (
        "age_half_life_days",
        *(f"{field}_weight" for field in CONTENT_FIELDS),
        "persona_weight",
        "training_histories",
        "steps",
        "half_life",
        "popularity_weight",
        "prior",
        "prior_weight",
    )
    """Settings a night can choose itself."""

    method: Literal["head", "full"] = Field(
        "head", description="full: the base model itself is trained before the head, which wants a GPU"
    )
    finetune: FinetuneConfig = FinetuneConfig()
    tuning_minutes: float = Field(
        10.0,
        ge=0,
        description="about how long a night that trains may try settings; how many are tried follows from the data's size, not "
        "from the clock, so that a rerun chooses the same; 0: none are, all are as set here",
    )
    tuned: tuple[str, ...] = Field(
        (),
        description="settings a night chooses itself when it trains; by default those that the configuration leaves out",
    )
    half_life: float = Field(
        3.0, gt=0, description="interactions, or days where recency says so, after which the weight of history halves"
    )
    recency: Literal["rank", "days"] = Field(
        "rank",
        description="how far back an interaction lies: by how many came after it, or by days before the user's newest",
    )
    age_half_life_days: float = Field(
        730.0, ge=0, description="days after which an interaction teaches half as much; 0: all teach the same"
    )
    training_histories: Literal["both", "earlier"] = Field(
        "both",
        description="what a training example predicts an interaction from: the user's others on either side, or "
        "the earlier ones alone, as serving does",
    )
    title_weight: float = Field(
        1.0, ge=0, description="weight of the title in an item's profile; what its reviews say weighs one"
    )
    creator_weight: float = Field(0.0, ge=0, description="weight of the brand, author or maker in an item's profile")
    categories_weight: float = Field(0.0, ge=0, description="weight of the categories in an item's profile")
    description_weight: float = Field(0.0, ge=0, description="weight of the description in an item's profile")
    persona_weight: float = Field(
        0.1, ge=0, description="weight of a persona's own text beside the profile of its item; 0: one vector per item"
    )
    max_pairs: int = Field(
        500_000,
        ge=1,
        description="pairs a head is trained and judged on at most: of more those of some users, drawn by the hash of their id",
    )
    steps: int = Field(100, ge=0, description="optimiser steps")
    batch_size: int = Field(512, ge=2, description="pairs per step, the negatives of one another")
    learning_rate: float = Field(2e-3, gt=0, description="peak learning rate, cosine decay")
    temperature: float = Field(
        0.1,
        gt=0,
        description="tau of the soft maximum over an item's personas and of the training softmax, at the first step",
    )
    temperature_learning_rate: float = Field(
        1e-2, ge=0, description="peak learning rate of log tau, which is learned with the head; 0: tau stays"
    )
    aggregation: Literal["softmax", "max"] = Field(
        "softmax", description="how an item's personas combine; max is the paper's"
    )
    heads: int = Field(
        3, ge=1, description="heads trained on batches in another order each; their weights are averaged"
    )
    popularity_weight: float = Field(
        0.25,
        ge=0,
        description="weight of log(1 + liked interactions of the item), events by their weight; in units of the temperature",
    )
    popularity_support: float = Field(
        1.0,
        ge=0,
        description="short histories lean on popularity more: its weight is times 1 + this / (interactions in the user's vector)",
    )
    prior: Literal["none", "prox_knn", "ease"] = Field(
        "none", description="collaborative prior: who else met these items; none leaves it to the personas"
    )
    prior_weight: float = Field(
        0.0, ge=0, description="weight of the prior, whose largest value is about one, in units of the temperature"
    )
    prior_neighbours: int = Field(200, ge=1, description="items a prior keeps beside each")
    prior_engine: Literal["memory", "spark"] = Field(
        "memory",
        description="where a night computes prox_knn: in this process, or by Spark where pairs of items outgrow it",
    )
    retrain_every_days: int = Field(7, ge=1, description="the served encoder is kept until it is this old")
    gate_margin: float = Field(
        0.005, ge=0, description="a new encoder replaces the served one unless NDCG@10 may be lower by more than this"
    )
    seed: int = Field(0, description="seed of batch order")

    @model_validator(mode="before")
    @classmethod
    def _what_is_set_is_not_tuned(cls, given: Any) -> Any:
        """Record in `tuned` the settings left to the search, so that a configuration written out and read again means the same."""
        if not isinstance(given, dict) or "tuned" in given:
            return given
        return given | {"tuned": tuple(name for name in cls.TUNABLE if name not in given)}

    @field_validator("tuned")
    @classmethod
    def _tunable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(names) - set(cls.TUNABLE))
        if unknown:
            raise ValueError(f"a night cannot choose {', '.join(unknown)}; it can {', '.join(cls.TUNABLE)}")
        return tuple(name for name in cls.TUNABLE if name in names)

    def content_weights(self) -> dict[str, float]:
        """The weight of each of CONTENT_FIELDS in an item's profile."""
        return {field: float(getattr(self, f"{field}_weight")) for field in CONTENT_FIELDS}
