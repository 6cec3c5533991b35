"""Map the records of each known source to the canonical fields of reviews and items, a file a source."""

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.sources.adapters._adapter import REQUIRED, Adapter, InputKind, found
from persona_pipeline.sources.adapters.amazon2014 import AMAZON2014
from persona_pipeline.sources.adapters.amazon2018 import AMAZON2018
from persona_pipeline.sources.adapters.amazon2023 import AMAZON2023
from persona_pipeline.sources.adapters.generic import CSV, JSONL, PARQUET, SYNTHETIC
from persona_pipeline.sources.adapters.goodreads import GOODREADS
from persona_pipeline.sources.adapters.movielens import MOVIELENS
from persona_pipeline.sources.adapters.persona4rec import PERSONA4REC
from persona_pipeline.sources.adapters.yelp import YELP

__all__ = ["ADAPTERS", "REQUIRED", "Adapter", "InputKind", "adapter", "configured", "found"]

ADAPTERS: dict[str, Adapter] = {
    known.name: known
    for known in (
        AMAZON2014, AMAZON2018, AMAZON2023, CSV, GOODREADS, JSONL, MOVIELENS, PARQUET, PERSONA4REC, SYNTHETIC, YELP
    )
}  # fmt: skip


def adapter(name: str) -> Adapter:
    """Find an adapter by name. Raises ConfigError listing the known names."""
    if name not in ADAPTERS:
        raise ConfigError(f"source {name}: no such adapter; there are {', '.join(sorted(ADAPTERS))}")
    return ADAPTERS[name]


def configured(name: str, config: ReviewsConfig) -> Adapter:
    """Find an adapter by name, with the names, scale and time format that the configuration gives."""
    return adapter(name).mapped(config)
