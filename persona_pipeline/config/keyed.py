"""Define settings of keyed work: which engine runs a stage's buckets, and how large they are."""

from typing import Literal

from pydantic import Field

from persona_pipeline.config.stage import StageConfig

KeyedTask = Literal[
    "review_aspects", "item_summaries", "item_personas", "text_embeddings", "persona_vectors", "user_vectors"
]
"""Tasks that are a function of the rows of some keys."""


class KeyedConfig(StageConfig):
    """Where and in what portions keyed tasks run; the rows are the same."""

    OPERATIONAL = frozenset({"engine", "engines", "bucket_bytes", "memory_bytes", "spark_from_bytes"})

    engine: Literal["auto", "local", "spark"] = Field(
        "auto",
        description="local: bucket after bucket on this machine, without a JVM; spark: on the executors of `spark.master`; auto: "
        "Spark where that is no local master and the task reads at least `spark_from_bytes`",
    )
    engines: dict[KeyedTask, Literal["local", "spark"]] = Field(
        default_factory=dict, description="the engine of a task, in place of `engine`"
    )
    bucket_bytes: int = Field(
        2**26, ge=1, description="stored bytes of a bucket: what of its tables a task has in memory at once, twice"
    )
    memory_bytes: int = Field(
        2**32, ge=2**26, description="what DuckDB may hold in a task; what is more is spilled to disk"
    )
    spark_from_bytes: int = Field(2**33, ge=0, description="stored bytes from which auto chooses Spark")
