"""Map files whose keys or columns carry the canonical names, or those that the configuration gives: jsonl, csv, parquet."""

from persona_pipeline.config.sources import ITEM_FIELDS, REVIEW_FIELDS
from persona_pipeline.sources.adapters._adapter import Adapter, canonical
from persona_pipeline.sources.shapes import Format


def _named(name: str, form: Format) -> Adapter:
    return Adapter(name, canonical(REVIEW_FIELDS), canonical(ITEM_FIELDS), frozenset({form}), listed_by_comma=True)


JSONL, SYNTHETIC = _named("jsonl", "json"), _named("synthetic", "json")
CSV, PARQUET = _named("csv", "csv"), _named("parquet", "parquet")
