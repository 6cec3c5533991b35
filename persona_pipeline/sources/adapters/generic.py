"""Map files whose keys or columns carry the canonical names, or those that the configuration gives: jsonl, csv, parquet."""

from persona_pipeline.config.sources import EVENT_FIELDS, ITEM_FIELDS, REVIEW_FIELDS
from persona_pipeline.sources.adapters._adapter import Adapter, canonical
from persona_pipeline.sources.shapes import Format


def _named(name: str, *forms: Format) -> Adapter:
    return Adapter(
        name,
        canonical(REVIEW_FIELDS),
        canonical(ITEM_FIELDS),
        frozenset(forms),
        listed_by_comma=True,
        interactions=canonical(EVENT_FIELDS),
    )


JSONL, SYNTHETIC = _named("jsonl", "json"), _named("synthetic", "json")
CSV, PARQUET = _named("csv", "csv"), _named("parquet", "parquet")
ANY = _named("jsonl, csv or parquet", "json", "csv", "parquet")
"""Of events, which need not come in the form of the reviews beside them."""
