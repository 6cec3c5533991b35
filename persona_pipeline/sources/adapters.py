"""Map each source's JSON keys to the canonical fields of reviews and items (`Adapter`).

Every source is JSON lines, plain or gzip. An adapter is only names; parsing and cleaning are the same for all.
"""

from dataclasses import dataclass
from typing import Literal

from persona_pipeline.core.errors import ConfigError

REQUIRED_REVIEW_FIELDS = ("user_id", "item_id", "rating", "timestamp")
REQUIRED_ITEM_FIELDS = ("item_id",)


@dataclass(frozen=True, slots=True)
class Adapter:
    """JSON keys by canonical field; the optional fields may be missing from any line."""

    name: str
    reviews: dict[str, str]
    items: dict[str, str]

    def required(self, kind: Literal["reviews", "items"]) -> list[str]:
        """JSON keys that every line of this kind must have."""
        fields = self.reviews if kind == "reviews" else self.items
        return [fields[name] for name in (REQUIRED_REVIEW_FIELDS if kind == "reviews" else REQUIRED_ITEM_FIELDS)]


_JSONL = Adapter(
    name="jsonl",
    reviews={name: name for name in ("review_id", "user_id", "item_id", "rating", "title", "text", "timestamp")},
    items={name: name for name in ("item_id", "title", "creator", "categories", "description")},
)

ADAPTERS: dict[str, Adapter] = {
    "jsonl": _JSONL,
    "synthetic": Adapter("synthetic", _JSONL.reviews, _JSONL.items),
    "amazon2018": Adapter(
        name="amazon2018",
        reviews={
            "user_id": "reviewerID",
            "item_id": "asin",
            "rating": "overall",
            "title": "summary",
            "text": "reviewText",
            "timestamp": "unixReviewTime",
        },
        items={
            "item_id": "asin",
            "title": "title",
            "creator": "brand",
            "categories": "category",
            "description": "description",
        },
    ),
}


def adapter(name: str) -> Adapter:
    """Find an adapter by name. Raises ConfigError listing the known names."""
    if name not in ADAPTERS:
        raise ConfigError(f"source {name}: no such adapter; there are {', '.join(sorted(ADAPTERS))}")
    return ADAPTERS[name]
