"""The configured extractor, and tables to what it takes in."""

from collections.abc import Iterable
from typing import Any

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.errors import ConfigError
from persona_pipeline.extract.protocol import Embed, ItemEvidence, ItemText, PersonaExtractor, ReviewText


def make_extractor(
    config: ExtractionConfig, embed: Embed, background: Iterable[tuple[str, str]] | None = None
) -> PersonaExtractor:
    """The extractor of `config.extractor`; `background` gives (item_id, evidence text) of the whole catalogue.

    Raises ConfigError for one that is not built yet.
    """
    if config.extractor != "embedded":
        raise ConfigError(
            f"extraction.extractor {config.extractor}: only embedded is built so far; use EXTRACTOR=embedded"
        )
    from persona_pipeline.extract.embedded import EmbeddedExtractor

    extractor = EmbeddedExtractor(config, embed)
    if background is not None:
        extractor.fit_background(background)
    return extractor


def item_evidence(row: dict[str, Any]) -> ItemEvidence:
    """A row with item_id, title, description, categories, summary and evidence as extractor input."""
    reviews = tuple(
        ReviewText(e["review_id"], e["user_id"], row["item_id"], e["rating"], e["text"]) for e in row["evidence"]
    )
    item = ItemText(row["item_id"], row["title"], row["description"], tuple(row["categories"]))
    return ItemEvidence(item, row.get("summary") or "", reviews)
