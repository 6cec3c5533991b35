"""Define settings of the Spark session."""

from pydantic import Field

from persona_pipeline.config.stage import StageConfig


class SparkConfig(StageConfig):
    """Where Spark runs."""

    master: str = Field("local[*]", description="Spark master URL")
    driver_memory: str = Field("4g", description="driver heap; in local mode this is all of Spark's memory")
    shuffle_partitions: int = Field(
        4, ge=1, description="partitions after a shuffle; about twice the cores, more for more data"
    )
    conf: dict[str, str] = Field(default_factory=dict, description="any further Spark setting")
