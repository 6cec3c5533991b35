"""Build the configured extractor and its LLM client."""

from datetime import date
from typing import TYPE_CHECKING

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.types import (
    Embed,
    PersonaExtractor,
)
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from persona_pipeline.extract.embedded.shop import Shop
    from persona_pipeline.extract.llm.client import LlmClient
    from persona_pipeline.extract.llm.engines.engine import Backend


def make_extractor(
    config: ExtractionConfig,
    embed: Embed,
    warehouse: Warehouse,
    as_of: date,
    *,
    engine: bool = True,
    shop: "Shop | None" = None,
) -> PersonaExtractor:
    """Build the extractor of `config.extractor`.

    Args:
        config: which one, and its settings.
        embed: the base model.
        warehouse: holds the shop's reviews, and the response cache of an LLM.
        as_of: night under which an LLM's responses are stored.
        engine: whether an LLM may be called for requests that are not cached; else those end without a response.
        shop: topics of the shop's reviews where they are known; else they are read when personas are made.
    """
    if config.extractor == "embedded":
        from persona_pipeline.extract.embedded import EmbeddedExtractor
        from persona_pipeline.extract.embedded.shop import read_shop

        return EmbeddedExtractor(config, lambda: shop or read_shop(warehouse))
    from persona_pipeline.extract.llm.extractor import LlmExtractor

    return LlmExtractor(config, make_client(config, warehouse, as_of, engine=engine), embed)


def make_client(
    config: ExtractionConfig, warehouse: Warehouse, as_of: date, *, engine: bool = True, bounded: bool = True
) -> "LlmClient":
    """Build the client of the configured LLM, on the configured response cache; no engine is started yet."""
    from persona_pipeline.extract.llm.client import LlmClient
    from persona_pipeline.extract.llm.response_cache import ResponseCache

    kept = Warehouse(config.llm.ledger, warehouse.commit) if config.llm.ledger else warehouse
    return LlmClient(_backend(config), ResponseCache(kept, as_of), config.llm, engine=engine, bounded=bounded)


def _backend(config: ExtractionConfig) -> "Backend":
    if config.extractor == "vllm":
        from persona_pipeline.extract.llm.engines.vllm import VllmBackend

        return VllmBackend(config.llm)
    from persona_pipeline.extract.llm.engines.openai import OpenAIBackend

    return OpenAIBackend(config.llm)
