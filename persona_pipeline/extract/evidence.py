"""Convert rows of the evidence tables into an extractor's input types."""

from typing import Any

from persona_pipeline.extract.types import (
    ASPECT_NAMES,
    AspectQuote,
    ItemEvidence,
    ItemText,
    ReviewAspects,
    ReviewText,
)


def review_text(row: dict[str, Any]) -> ReviewText:
    """Convert a row with review_id, user_id, item_id, rating, text and title."""
    return ReviewText(*(row[column] for column in ("review_id", "user_id", "item_id", "rating", "text", "title")))


def item_evidence(row: dict[str, Any]) -> ItemEvidence:
    """Convert a row of an item's metadata with its evidence, and possibly summary and aspects."""
    reviews = tuple(review_text({**e, "item_id": row["item_id"]}) for e in row["evidence"])
    item = ItemText(row["item_id"], row["title"], row["description"], tuple(row["categories"]), row["creator"])
    aspects = tuple(
        ReviewAspects(
            a["review_id"],
            {name: a[name] for name in ASPECT_NAMES if a[name]},
            tuple(AspectQuote(**quote) for quote in a["evidence"]),
        )
        for a in row.get("aspects") or ()
    )
    return ItemEvidence(item, row.get("summary") or "", reviews, aspects)
