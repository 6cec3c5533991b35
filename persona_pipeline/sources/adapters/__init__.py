"""Map the records of each known source to the canonical fields of reviews, items and events, a file a source."""

from persona_pipeline.config import InteractionsConfig, ReviewsConfig
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.sources.adapters._adapter import REQUIRED, Adapter, InputKind, Keys, found
from persona_pipeline.sources.adapters.amazon2014 import AMAZON2014
from persona_pipeline.sources.adapters.amazon2018 import AMAZON2018
from persona_pipeline.sources.adapters.amazon2023 import AMAZON2023
from persona_pipeline.sources.adapters.generic import ANY, CSV, JSONL, PARQUET, SYNTHETIC
from persona_pipeline.sources.adapters.goodreads import GOODREADS
from persona_pipeline.sources.adapters.movielens import MOVIELENS
from persona_pipeline.sources.adapters.persona4rec import PERSONA4REC
from persona_pipeline.sources.adapters.yelp import YELP

__all__ = ["ADAPTERS", "REQUIRED", "Adapter", "InputKind", "Keys", "adapter", "configured", "found", "of_interactions"]

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


def of_interactions(source: str | None, config: InteractionsConfig) -> Adapter:
    """Find the adapter of the events: `interactions.source`, else the night's source where that has events of its own.

    Else keys are the canonical names, or the configuration's, in any form. Raises ConfigError for a source without events.
    """
    name = config.source or (source if source == MOVIELENS.name else "")
    if not name:
        return ANY.of_events(config)
    chosen = adapter(name)
    if not chosen.interactions:
        having = ", ".join(
            sorted(known.name for known in ADAPTERS.values() if known.interactions and known.name != "synthetic")
        )
        raise ConfigError(f"interactions.source: {name} has no events; there are {having}")
    return chosen.of_events(config)
