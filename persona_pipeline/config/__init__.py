"""Load configuration: one frozen settings model per stage, from a packaged profile and a YAML file that overrides it (`files`).

Unknown keys are refused with the nearest known key. `PipelineConfig.digest` identifies a configuration: it covers
everything that decides what a night computes and leaves out `spark` and `keyed`, which only decide where.
"""

from persona_pipeline.config.embeddings import TextEmbeddingsConfig
from persona_pipeline.config.encoder import CONTENT_FIELDS, EncodersConfig, FinetuneConfig
from persona_pipeline.config.extract import ExtractionConfig, LlmConfig
from persona_pipeline.config.files import load_config, parse_as_of
from persona_pipeline.config.keyed import KeyedConfig
from persona_pipeline.config.pipeline import PipelineConfig
from persona_pipeline.config.publish import InputLimitsConfig, LimitsConfig, ReleasesConfig
from persona_pipeline.config.score import UserItemTopkConfig
from persona_pipeline.config.sources import CandidatesConfig, EligibilityConfig, InteractionsConfig, ReviewsConfig
from persona_pipeline.config.spark import SparkConfig

__all__ = [
    "CONTENT_FIELDS",
    "CandidatesConfig",
    "EligibilityConfig",
    "EncodersConfig",
    "ExtractionConfig",
    "FinetuneConfig",
    "InputLimitsConfig",
    "InteractionsConfig",
    "KeyedConfig",
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
