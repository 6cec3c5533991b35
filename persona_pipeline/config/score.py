"""Define settings of `user_item_topk`: k, exclusions, candidates, caps, memory bounds, device."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from persona_pipeline.config.stage import StageConfig

# A quarter is what oneDNN keeps; the rest holds some users, even of a thousand dimensions and a thousand places.
LEAST_BLOCK_BYTES = 16 * 2**20


class UserItemTopkConfig(StageConfig):
    """The precomputed recommendations."""

    OPERATIONAL = frozenset({"max_changed_share", "block_bytes", "shelf_bytes", "device", "precision"})

    k: int = Field(20, ge=1, description="recommendations per user")
    exclude_reviewed: bool = Field(
        True,
        description="leave out items the user has reviewed, or met by an event of at least `interactions.seen_weight`",
    )
    candidates: Literal["none", "only", "fuse"] = Field(
        "none",
        description="only: a user with rows in the table candidates is recommended those items alone, reranked; fuse: every "
        "item is ranked, and those are lifted by their places in it",
    )
    candidates_weight: float = Field(
        0.1, ge=0, description="fuse: what the first place of a list adds to the score; rank r adds 61 / (60 + r) of it"
    )
    max_per_category: int = Field(
        0,
        ge=0,
        description="items of one category a list holds at most, taken in the order of their scores; 0: any number",
    )
    category_level: int = Field(
        0,
        ge=0,
        description="which of an item's categories max_per_category counts: 1 the broadest, 2 the next, an item with fewer by its "
        "last; 0: every item by its last, the most specific",
    )
    max_per_creator: int = Field(0, ge=0, description="items of one creator a list holds at most; 0: any number")
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
    precision: Literal["auto", "int8", "bfloat16", "float32"] = Field(
        "auto",
        description="of the first pass of ranking; the lists are the same, as what it leaves open is scored again in float64. "
        "auto: the fastest the processor has",
    )
    shelf_bytes: int = Field(
        2**31, ge=2**20, description="persona vectors a task holds; past it items are ranked in blocks and merged"
    )

    @model_validator(mode="after")
    def _a_gpu_has_no_int8(self) -> Self:
        if (self.device, self.precision) == ("cuda", "int8"):
            raise ValueError("precision int8 is of processors; with device cuda say auto, bfloat16 or float32")
        return self

    @field_validator("block_bytes")
    @classmethod
    def _enough_to_rank(cls, value: int) -> int:
        if value < LEAST_BLOCK_BYTES:
            raise ValueError(f"ranking keeps to no less than {LEAST_BLOCK_BYTES} bytes, on any processor")
        return value
