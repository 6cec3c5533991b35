"""Configuration: one frozen model per stage (`models`), read from a profile and an optional file over it (`files`).

Unknown keys are refused with the nearest known key. `PipelineConfig.digest` identifies a configuration: it covers
everything that decides what a night computes and leaves out `spark`, which only decides where.
"""

from persona_pipeline.config.files import load_config, parse_as_of
from persona_pipeline.config.models import (
    CONTENT_FIELDS,
    CandidatesConfig,
    EncodersConfig,
    ExtractionConfig,
    FinetuneConfig,
    LimitsConfig,
    LlmConfig,
    PipelineConfig,
    ReleasesConfig,
    ReviewsConfig,
    SparkConfig,
    TextEmbeddingsConfig,
    UserItemTopkConfig,
)

__all__ = [
    "CONTENT_FIELDS",
    "CandidatesConfig",
    "EncodersConfig",
    "ExtractionConfig",
    "FinetuneConfig",
    "LimitsConfig",
    "LlmConfig",
    "PipelineConfig",
    "ReleasesConfig",
    "ReviewsConfig",
    "SparkConfig",
    "TextEmbeddingsConfig",
    "UserItemTopkConfig",
    "load_config",
    "parse_as_of",
]
