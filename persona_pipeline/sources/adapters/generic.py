"""Map files whose keys or columns carry the canonical names, or those that the configuration gives: jsonl, csv, parquet."""

from persona_pipeline.config.sources import ITEM_FIELDS, REVIEW_FIELDS
from persona_pipeline.sources.adapters._adapter import Adapter, canonical

JSONL, CSV, PARQUET, SYNTHETIC = (
    Adapter(name, canonical(REVIEW_FIELDS), canonical(ITEM_FIELDS), frozenset({form}), listed_by_comma=True)
    for name, form in (("jsonl", "json"), ("csv", "csv"), ("parquet", "parquet"), ("synthetic", "json"))
)
